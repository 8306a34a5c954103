"""Tags in the headers of one call: read here, and taken out before the request is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from taximeter.propagation import PREFIX, named_in

_RAW_PREFIX = PREFIX.encode()


def taken_from_options(options: Any) -> dict[str, str]:
    """Take the tags out of the SDK's options; the app's own mapping of headers stays as it is.

    httpx refuses a header that is not ASCII, so these must go before the request is built.
    """
    given = options.headers
    if not given or not isinstance(given, Mapping):
        return {}
    others, tags = parted(given)
    if tags:
        options.headers = others
    return tags


def parted(headers: Mapping[Any, Any]) -> tuple[dict[Any, Any], dict[str, str]]:
    """Part headers from the tags among them."""
    ours = {key: value for key, value in headers.items() if _is_tag(key, value)}
    others = {key: value for key, value in headers.items() if key not in ours}
    return others, named_in(ours.items())


def taken_from_request(request: Any) -> dict[str, str]:
    """Take out what came from the default headers of the client or of its HTTP client."""
    raw = request.headers.raw
    if _RAW_PREFIX not in b" ".join([key for key, _ in raw]).lower():
        return {}
    ours = {
        key.lower().decode("ascii"): value.decode("utf-8", "replace")
        for key, value in raw
        if key.lower().startswith(_RAW_PREFIX)
    }
    for key in ours:
        del request.headers[key]
    return named_in(ours.items())


def _is_tag(key: object, value: object) -> bool:
    return isinstance(key, str) and key.lower().startswith(PREFIX) and isinstance(value, str)
