"""The store itself, for a command that finds no service to ask."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from taximeter_api.commands.service import ServiceAway
from taximeter_collector.settings import PREFIX, Settings
from taximeter_collector.store import Store, StoreInUse


@contextmanager
def own_store(settings: Settings, away: ServiceAway) -> Iterator[Store]:
    """Give the store, never a new one; raises ServiceAway where it is not, or is in use."""
    path = Path(urlsplit(settings.store_url).path)
    if not settings.is_server and not path.exists():
        raise ServiceAway(
            f"{away}, and there is no store {path}: start the service, "
            f"or give its {PREFIX}PORT or {PREFIX}DATA_DIR"
        ) from None
    try:
        store = Store(settings.store_url, settings.cluster)
    except StoreInUse:
        raise ServiceAway(f"another process has the store open, and {away}") from None
    with closing(store):
        yield store
