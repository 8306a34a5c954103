"""The feature of a call that the app did not tag: its route, or the function that called."""

from __future__ import annotations

import sys
import sysconfig
from functools import lru_cache
from pathlib import Path
from types import CodeType, FrameType

from opentelemetry.trace import Span

_PATHS = sysconfig.get_paths()
_LIBRARIES = (
    "<frozen",
    *(
        f"{Path(_PATHS[name]).as_posix()}/"
        for name in ("stdlib", "platstdlib", "purelib", "platlib")
    ),
    f"{Path(__file__).parent.as_posix()}/",
)
_INSTALLED = ("/site-packages/", "/dist-packages/", "/openai/_", "/openai/resources/")


def route_of(span: Span) -> str | None:
    """Give `http.route` of the app's server span, where it has one."""
    if not span.is_recording():
        return None
    route = (getattr(span, "attributes", None) or {}).get("http.route")
    return route if isinstance(route, str) and route else None


def calling_function() -> str | None:
    """Name the innermost function outside of libraries as `module.function`."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if is_app_code(frame.f_code.co_filename):
            module = str(frame.f_globals.get("__name__", ""))
            return name_of(module, frame.f_code)
        frame = frame.f_back
    return None


@lru_cache(maxsize=4096)
def is_app_code(filename: str) -> bool:
    path = filename.replace("\\", "/")
    return not path.startswith(_LIBRARIES) and not any(part in path for part in _INSTALLED)


@lru_cache(maxsize=4096)
def name_of(module: str, code: CodeType) -> str:
    # A lambda, comprehension or closure belongs to the function around it.
    function = code.co_qualname.partition(".<locals>")[0]
    owner = script_name() if module == "__main__" else module
    return owner if function.startswith("<") else f"{owner}.{function}"


def script_name() -> str:
    """Name the program by its script; "python" where there is none."""
    script = Path(getattr(sys.modules.get("__main__"), "__file__", None) or sys.argv[0] or "python")
    name = script.parent.name if script.stem == "__main__" else script.stem
    return "python" if name.startswith("-") else name or "python"
