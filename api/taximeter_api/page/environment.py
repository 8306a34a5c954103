"""The templates of the pages and what all of them may use."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from taximeter_api.page import charts, sentences
from taximeter_api.page import format as fmt

HERE: Final = Path(__file__).parent
# Every page carries it: without comments, nor blanks that say nothing.
CSS: Final = re.sub(
    r"/\*.*?\*/|\s*([{};])\s*",
    r"\1",
    (HERE / "static" / "page.css").read_text(encoding="utf-8"),
    flags=re.DOTALL,
)
SCRIPT: Final = (HERE / "static" / "live.js").read_text(encoding="utf-8")
VERSION: Final = hashlib.blake2b((CSS + SCRIPT).encode(), digest_size=6).hexdigest()
"""Of what every page needs: an open page of another one loads itself anew."""


def template(name: str) -> Template:
    return _ENVIRONMENT.get_template(name)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(fmt=fmt, bar=charts.bar, sparkline=charts.sparkline)
    environment.globals.update(lost=sentences.lost, no_known_price=sentences.no_known_price)
    environment.globals.update(risen=sentences.risen, one_day=timedelta(days=1))
    environment.globals.update(now_utc=lambda: datetime.now(UTC))
    environment.globals.update(css=Markup(CSS), version=VERSION)  # noqa: S704
    return environment


_ENVIRONMENT: Final = _environment()
