"""What happened, drawn over charts: alerts, and new versions of prompts."""
# ruff: noqa: S608  What is formatted in are conditions of ours; values come by the macros.

from __future__ import annotations

from collections.abc import Iterator, Sequence

from grafana_foundation_sdk.builders.dashboard import AnnotationQuery

from taximeter_dashboards.clickhouse import DATASOURCE, END, START, Format, Query, chosen, named


def drawn_over(variables: Sequence[str]) -> Iterator[AnnotationQuery]:
    """Yield what a dashboard with these variables draws over its charts."""
    # A chart of budgets has its alerts as points; over it the others are too many.
    yield _annotation("Alerts", "red", alerts(variables), enabled="budget" not in variables)
    yield _annotation("Prompt versions", "blue", new_versions(variables))


def alerts(variables: Sequence[str]) -> str:
    return f"""\
select
    min(at) as time,
    concat(
        any(budget), if(any(value) = '', '', concat(': ', any(value))),
        if(any(amount) is null, '', concat(
            ': ', toString(any(percent)), ' % of $', toDecimalString(any(amount), 2),
            ', $', toDecimalString(any(spent), 2), ' spent'
        ))
    ) as text,
    any(kind) as tags
from taximeter.alert_log final
where at >= {START} and at < {END}
    and kind != 'acknowledged'
    and {_chosen(variables, "budget")}
group by id
order by time, text
limit 200
"""


def new_versions(variables: Sequence[str]) -> str:
    return f"""\
select
    min(first_at) as time,
    concat({named("prompt_name")}, ' ', prompt_version, ' of ', {named("feature")}) as text,
    'prompt version' as tags
from taximeter.prompt_versions
where {_chosen(variables, "environment", "team", "feature")}
group by feature, prompt_name, prompt_version
having time >= {START} and time < {END}
order by time, text
limit 200
"""


def _chosen(variables: Sequence[str], *known: str) -> str:
    return chosen(*(one for one in known if one in variables)) or "true"


def _annotation(name: str, color: str, sql: str, *, enabled: bool = True) -> AnnotationQuery:
    return (
        AnnotationQuery()
        .name(name)
        .enable(enable=enabled)
        .icon_color(color)
        .datasource(DATASOURCE)
        .target(Query(sql=sql, format=Format.TABLE))
    )
