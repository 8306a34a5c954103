"""Read what OpenAI counted and billed, through the SDK's admin client. Nothing is ever written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from taximeter_analysis.bill import Account, BilledUse, Charge, Key, tier_of
from taximeter_api.questions import Refused
from taximeter_collector.settings import PREFIX, Settings
from taximeter_collector.store import Period
from taximeter_collector.store.reconciliations import ITEMS

RETRIES: Final = 6
"""The SDK waits as `Retry-After` says; a month of a large organisation is some hundred requests."""
BY_MODEL: Final = ["project_id", "api_key_id", "model"]
GROUPS: Final[Mapping[str, list[str]]] = {
    "completions": [*BY_MODEL, "batch", "service_tier"],
    "embeddings": BY_MODEL,
    "images": BY_MODEL,
    "audio_speeches": BY_MODEL,
    "audio_transcriptions": BY_MODEL,
    "web_search_calls": BY_MODEL,
    "file_search_calls": ["project_id", "api_key_id"],
    "code_interpreter_sessions": ["project_id"],
}
"""Moderations are free, and what vector stores hold is not a use of ours to compare."""
MOST_HOURS, MOST_DAYS = 168, 180


class AccountUnreadable(Refused):
    """OpenAI does not say what it billed; the message tells what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(message, status=502)


def read_account(settings: Settings, period: Period) -> Account:
    """Read a period of whole days; raises AccountUnreadable."""
    if settings.openai_admin_key is None:
        raise AccountUnreadable(
            f"{PREFIX}OPENAI_ADMIN_KEY is not set: give an admin key that may read usage and costs"
        )
    try:
        import openai
    except ImportError:
        raise AccountUnreadable(
            'the package openai is missing: pip install "taximeter-server[reconcile]"'
        ) from None
    try:
        with openai.OpenAI(
            admin_api_key=settings.openai_admin_key.get_secret_value(),
            base_url=settings.openai_url,
            max_retries=RETRIES,
        ) as client:
            return _account(client.admin.organization, period)
    except openai.APIStatusError as error:
        key = f": may the key in {PREFIX}OPENAI_ADMIN_KEY read usage, costs and projects?"
        hint = key if error.status_code in (401, 403) else ""
        raise AccountUnreadable(f"OpenAI answered {error.status_code}{hint}") from None
    except openai.OpenAIError as error:
        raise AccountUnreadable(
            f"{settings.openai_url} can't be read: {type(error).__name__}"
        ) from error


def _account(organization: Any, period: Period) -> Account:
    projects = {
        project.id: project.name or project.id
        for project in organization.projects.list(include_archived=True, limit=100)
    }
    return Account(
        charges=list(_charges(organization.usage, period)),
        use=[use for name in GROUPS for use in _use(organization.usage, name, period)],
        keys=[key for project in projects for key in _keys(organization.projects, project)],
        projects=projects,
    )


def _keys(projects: Any, project: str) -> Iterator[Key]:
    listed = projects.api_keys.list(project, limit=100, owner_project_access="any")
    for key in listed:
        yield Key(id=key.id, name=key.name, project=project, redacted=key.redacted_value)


def _charges(usage: Any, period: Period) -> Iterator[Charge]:
    by = ["project_id", "api_key_id", "line_item"]
    for at, result in _results(usage.costs, period, "1d", MOST_DAYS, by):
        if (result.amount.currency or "usd").lower() != "usd":
            raise AccountUnreadable(f"OpenAI bills in {result.amount.currency}; only USD is read")
        yield Charge(
            day=at.date(),
            project=result.project_id or "",
            key=result.api_key_id or "",
            line_item=result.line_item or "",
            # The JSON number is a binary float by now; its shortest form is what was sent.
            usd=Decimal(str(result.amount.value or 0)).quantize(Decimal("1e-12")),
        )


def _use(usage: Any, name: str, period: Period) -> Iterator[BilledUse]:
    for at, result in _results(getattr(usage, name), period, "1h", MOST_HOURS, GROUPS[name]):
        told = result.to_dict()
        yield BilledUse(
            hour=at,
            project=told.get("project_id") or "",
            key=told.get("api_key_id") or "",
            model=told.get("model") or "",
            batch=bool(told.get("batch")),
            service_tier=tier_of(told.get("service_tier") or ""),
            requests=told.get("num_model_requests") or 0,
            used=_used(name, told),
        )


def _used(name: str, told: Mapping[str, Any]) -> tuple[Decimal, ...]:
    def number(*fields: str) -> int:
        return next((told[field] for field in fields if told.get(field)), 0)

    cached, written = number("input_cached_tokens"), number("input_cache_write_tokens")
    by_item = {
        "input": number("input_tokens") - cached - written,
        "cached input": cached,
        "cache write": written,
        "output": number("output_tokens"),
        "units": number("images", "characters", "seconds"),
        "web search": number("num_requests") if name == "web_search_calls" else 0,
        "file search": number("num_requests") if name == "file_search_calls" else 0,
        "container": number("num_sessions"),
    }
    return tuple(Decimal(by_item[item]) for item in ITEMS)


def _results(
    read: Callable[..., Any], period: Period, width: str, limit: int, by: list[str]
) -> Iterator[tuple[datetime, Any]]:
    """Yield every result with its bucket's start, page after page."""
    asked = {
        "start_time": int(period.start.timestamp()),
        "end_time": int(period.end.timestamp()),
        "bucket_width": width,
        "limit": limit,
        "group_by": by,
    }
    answer = read(**asked)
    while True:
        for bucket in answer.data:
            for result in bucket.results:
                yield datetime.fromtimestamp(bucket.start_time, UTC), result
        if not answer.has_more:
            return
        if not answer.next_page:
            raise AccountUnreadable("OpenAI names no next page where it has more: try again later")
        answer = read(**asked, page=answer.next_page)
