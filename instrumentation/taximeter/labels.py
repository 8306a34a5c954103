"""Values of tags: kept readable and safe to show, group and quote, as the collector keeps them."""

from __future__ import annotations

import hashlib
import re
import unicodedata

LONGEST = 256
DIGEST = 12

_PLAIN = re.compile(r"[ !#-&(-\[\]-_a-~]{0,256}").fullmatch
_ENCODED = {ord(sign): f"%{ord(sign):02X}" for sign in "'\"`\\"} | {
    code: f"%{code:02X}" for code in [*range(0x20), *range(0x7F, 0xA0)]
}


def make_readable(tags: dict[str, str]) -> int:
    """Replace the values that can't stay as they are; gives their number."""
    altered = 0
    for key in [key for key, value in tags.items() if not _PLAIN(value)]:
        given, tags[key] = tags[key], label(tags[key])
        altered += tags[key] != given
    return altered


def label(value: str) -> str:
    """Return the value in NFC, controls, quotes and backslash percent-encoded, cut with a hash."""
    # Half of a surrogate pair has no UTF-8: the exporter would log a traceback and drop it.
    sendable = value.encode("utf-8", "replace").decode("utf-8")
    text = unicodedata.normalize("NFC", sendable).translate(_ENCODED)
    if len(text) <= LONGEST:
        return text
    digest = hashlib.sha256(text.encode("utf-8")).hexdigest()[:DIGEST]
    return f"{text[: LONGEST - DIGEST - 1]}~{digest}"
