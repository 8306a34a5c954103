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


def readable(value: str) -> str:
    return value if _PLAIN(value) else label(value)


def label(value: str) -> str:
    """Return the value in NFC, controls, quotes and backslash percent-encoded, cut with a hash."""
    raw = value.encode("utf-8", "replace")
    # Composing takes the square of the length, and nobody reads more than the beginning.
    given = raw.decode()
    composed = unicodedata.normalize("NFC", given[: 2 * LONGEST])
    # Once more, because an encoded sign may compose with what followed it.
    text = unicodedata.normalize("NFC", composed.translate(_ENCODED))
    if len(given) <= 2 * LONGEST and len(text) <= LONGEST:
        return text
    digest = hashlib.sha256(raw).hexdigest()[:DIGEST]
    return f"{text[: LONGEST - DIGEST - 1]}~{digest}"
