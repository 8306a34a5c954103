"""Run by Python itself at start, under `taximeter-instrument`."""

from __future__ import annotations

import importlib.util
import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

_HERE = Path(__file__).resolve().parent


def _run_shadowed() -> None:
    """Run the sitecustomize that would have run without ours."""
    others = [entry for entry in sys.path if Path(entry or ".").resolve() != _HERE]
    spec = PathFinder.find_spec("sitecustomize", others)
    if spec is None or spec.loader is None:
        return
    module = importlib.util.module_from_spec(spec)
    sys.modules["sitecustomize"] = module
    spec.loader.exec_module(module)


def _instrument() -> None:
    try:
        import taximeter
    except ImportError:
        # A child process may well be of another interpreter; the program itself should not.
        if os.environ.get("_TAXIMETER_LAUNCHED") == str(os.getpid()):
            sys.stderr.write(
                f"taximeter: {sys.executable} has no taximeter installed, so nothing is metered: "
                f'{sys.executable} -m pip install "taximeter[otlp]"\n'
            )
        return
    taximeter.instrument()


_instrument()
_run_shadowed()
