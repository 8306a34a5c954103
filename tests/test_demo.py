from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_the_demo_shows_the_whole_way_and_checks_itself() -> None:
    shown = subprocess.run(
        [Path(sys.executable).with_name("taximeter"), "demo", "--once"],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )

    assert shown.returncode == 0, shown.stdout + shown.stderr
    assert "60 through the real SDK" in shown.stdout
    assert "1 message: 50 %" in shown.stdout
    assert "50% of budget used: Everything" in shown.stdout
    assert "more: nightly-export was never metered" in shown.stdout
    assert shown.stderr == ""
