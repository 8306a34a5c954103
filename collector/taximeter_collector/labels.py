"""Label values: whatever an app sends, kept readable and safe to show, group and quote."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

LONGEST: Final = 256
DIGEST: Final = 12

# Most values are like this and stay as they are.
PLAIN: Final = re.compile(r"[ !#-&(-\[\]-_a-~]*")
# Grafana's variable quoting can be broken out of by these, so no stored label holds them.
ENCODED: Final = {ord(sign): f"%{ord(sign):02X}" for sign in "'\"`\\"} | {
    code: f"%{code:02X}" for code in [*range(0x20), *range(0x7F, 0xA0)]
}


def label(value: object) -> str:
    """Return the value in NFC, controls, quotes and backslash percent-encoded, cut with a hash."""
    if isinstance(value, str) and len(value) <= LONGEST and PLAIN.fullmatch(value):
        return value
    raw = str(value).encode("utf-8", "replace")
    # Composing takes the square of the length, and nobody reads more than the beginning.
    given = raw.decode()
    composed = unicodedata.normalize("NFC", given[: 2 * LONGEST])
    # Once more, because an encoded sign may compose with what followed it.
    text = unicodedata.normalize("NFC", composed.translate(ENCODED))
    if len(given) <= 2 * LONGEST and len(text) <= LONGEST:
        return text
    digest = hashlib.sha256(raw).hexdigest()[:DIGEST]
    return f"{text[: LONGEST - DIGEST - 1]}~{digest}"
