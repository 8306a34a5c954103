"""Tags in text: to the app's own services, whose calls it asks to be tagged alike, and to tasks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

from taximeter.tags import NAMES, OTHER, Tagged, current_tags, tag

PREFIX = "x-taximeter-"
HEADER = "x-taximeter-tags"
RAW_PREFIX = PREFIX.encode()

_KEYWORDS = {attribute: name for name, attribute in NAMES.items()}


def headers() -> dict[str, str]:
    """Give the tags around this line as a header for a call to a service of one's own."""
    text = packed()
    return {HEADER: text} if text else {}


def tags_from(headers: Mapping[str, str]) -> Tagged:
    """Give the tags that a request came with, for a `with` block around its work."""
    return tag(**named_in(headers.items()))


def packed() -> str:
    """Write the tags around this line as a query string of the keywords of `tag`."""
    tags = current_tags()
    # A value from anywhere may hold half a surrogate pair, which has no UTF-8.
    return urlencode(
        {_KEYWORDS.get(key) or key.removeprefix(OTHER): tags[key] for key in tags},
        errors="replace",
    )


def unpacked(text: str) -> Tagged:
    return tag(**dict(parse_qsl(text)))


def named_in(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Give the tags in headers by the keywords of `tag`; all other headers are passed over."""
    tags: dict[str, str] = {}
    for header, value in headers:
        key = header.lower()
        if key == HEADER:
            tags = {**dict(parse_qsl(value)), **tags}
        elif key.startswith(PREFIX) and value:
            name = key.removeprefix(PREFIX).removeprefix("tag-")
            keyword = name.replace("-", "_")
            tags[keyword if keyword in NAMES else name] = value
    return tags


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
    if RAW_PREFIX not in b" ".join([key for key, _ in raw]).lower():
        return {}
    ours = {
        key.lower().decode("ascii"): value.decode("utf-8", "replace")
        for key, value in raw
        if key.lower().startswith(RAW_PREFIX)
    }
    for key in ours:
        del request.headers[key]
    return named_in(ours.items())


def _is_tag(key: object, value: object) -> bool:
    return isinstance(key, str) and key.lower().startswith(PREFIX) and isinstance(value, str)
