"""Run by Python itself at start, under `taximeter-instrument`."""

from __future__ import annotations

import importlib.util
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
        # A child process of another interpreter, which has no taximeter installed.
        return
    taximeter.instrument()


_instrument()
_run_shadowed()
