"""Log lines: a constant message and its values as fields."""

from __future__ import annotations

import logging
import sys

_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Fields(logging.Formatter):
    """`2026-11-22T10:00:00Z warning no price for model model=mystery-1 calls=3`."""

    def format(self, record: logging.LogRecord) -> str:
        moment = self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z")
        fields = [f" {name}={value}" for name, value in vars(record).items() if name not in _OWN]
        line = f"{moment} {record.levelname.lower()} {record.getMessage()}{''.join(fields)}"
        if record.exc_info and record.exc_info[1] is not None:
            line += f" error={record.exc_info[1]!r}"
            if logging.getLogger().isEnabledFor(logging.DEBUG):
                line += "\n" + self.formatException(record.exc_info)
        return line


def set_up(level: str) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Fields())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # These report as warnings what they also raise, and we say better.
    for chatty in ("uvicorn", "urllib3", "clickhouse_connect", "openai", "httpx", "httpx2"):
        logging.getLogger(chatty).setLevel(logging.ERROR)
