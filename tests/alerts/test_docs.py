"""What docs/alerts.md shows is understood."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from taximeter_alerts.budgets import Budget, parse_budgets
from taximeter_alerts.channels import read_channels
from taximeter_alerts.channels.setup import KINDS
from taximeter_alerts.state import State

PAGE = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


def test_every_budget_is_one() -> None:
    found: list[Budget] = []
    for block in BLOCKS:
        if "amount:" in block:
            text = block if block.startswith("budgets:") else f"budgets:\n{block}"
            found += parse_budgets(text, "docs/alerts.md")

    assert [one.name for one in found] == ["Search", "Each user", "Free tier"]


def test_every_kind_of_channel_is_shown(state: State, tmp_path: Path) -> None:
    (block,) = [block for block in BLOCKS if block.startswith("channels:")]
    path = tmp_path / "channels.yaml"
    path.write_text(block)
    names = re.findall(r"\$\{(\w+)\}", block)
    environment = dict.fromkeys(names, "https://example.com/x")
    environment["HOOK_SECRET"] = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

    channels = read_channels(path, environment, state, None)

    shown = {type(one.sender) for one in channels.values()}
    assert shown == set(KINDS.values())


@pytest.mark.parametrize("field", ["forecast", "pace", "spikes", "paused", "raised", "stop"])
def test_every_further_field_is_told(field: str) -> None:
    assert field in Budget.__dataclass_fields__
    assert f"| `{field}` |" in PAGE
