"""What happened, drawn over charts: alerts, and new versions of prompts."""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from grafana_foundation_sdk.builders.dashboard import AnnotationQuery

from taximeter_dashboards.clickhouse import DATASOURCE, END, START, Format, Query, chosen, named

ALERTS: Final = f"""\
select
    min(at) as time,
    concat(
        any(budget), if(any(value) = '', '', concat(': ', any(value))),
        if(any(amount) is null, '', concat(
            ': ', toString(any(percent)), ' % of $', toString(round(any(amount), 2)),
            ', $', toString(round(any(spent), 2)), ' spent'
        ))
    ) as text,
    any(kind) as tags
from taximeter.alert_log final
where at >= {START} and at < {END}
    and kind != 'acknowledged'
group by id
order by time, text
limit 200
"""


def drawn_over(variables: Sequence[str]) -> Iterator[AnnotationQuery]:
    """Yield what a dashboard with these variables draws over its charts."""
    yield _annotation("Alerts", "red", ALERTS)
    yield _annotation("Prompt versions", "blue", new_versions(variables))


def new_versions(variables: Sequence[str]) -> str:
    known = [one for one in ("environment", "team", "feature") if one in variables]
    return f"""\
select
    min(first_at) as time,
    concat({named("prompt_name")}, ' ', prompt_version, ' of ', {named("feature")}) as text,
    'prompt version' as tags
from taximeter.prompt_versions
where {chosen(*known) or "true"}
group by feature, prompt_name, prompt_version
having time >= {START} and time < {END}
order by time, text
limit 200
"""


def _annotation(name: str, color: str, sql: str) -> AnnotationQuery:
    return (
        AnnotationQuery()
        .name(name)
        .enable(enable=True)
        .icon_color(color)
        .datasource(DATASOURCE)
        .target(Query(sql=sql, format=Format.TABLE))
    )
