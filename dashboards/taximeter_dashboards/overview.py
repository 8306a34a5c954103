"""The spend overview: what was spent, on what, by whom, and how well it went."""

from __future__ import annotations

from typing import Final

from grafana_foundation_sdk.builders.dashboard import Dashboard
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.units import Dollars, Milliseconds, PercentUnit, Short

from taximeter_dashboards import questions
from taximeter_dashboards.board import AT_LEAST, WHOLE_DAYS, board_of
from taximeter_dashboards.panels import Column, Frame, bars, figure, lines, row, rows

UID: Final = "taximeter-overview"


def dashboard() -> model.Dashboard:
    board = board_of(
        UID, "spend overview", "What the OpenAI API costs, by feature, model and user."
    )
    _money(board)
    _where_it_goes(board)
    _how_it_went(board)
    return board.build()


def _money(board: Dashboard) -> None:
    def frame(panel_id: int, title: str, question: str) -> Frame:
        return Frame(id=panel_id, title=title, question=question, width=4, height=4)

    board.with_row(row(100, "Money"))
    board.with_panel(
        figure(
            frame(
                101,
                "Spend this month",
                "What has this month cost so far? The calendar month (UTC) in which the range "
                f"ends, up to that day. {AT_LEAST}",
            ),
            questions.SPEND_THIS_MONTH,
            unit=Dollars,
            decimals=2,
        )
    )
    board.with_panel(
        figure(
            frame(
                102,
                "Spend in range",
                f"What did the chosen time cost? {WHOLE_DAYS} {AT_LEAST}",
            ),
            questions.SPEND_PER_DAY,
            unit=Dollars,
            decimals=2,
            per_day=True,
        )
    )
    board.with_panel(
        figure(
            frame(
                103,
                "Cost per 1,000 calls",
                "What does a call cost, whatever the traffic? Over the calls with a known price. "
                f"{WHOLE_DAYS}",
            ),
            questions.COST_PER_1000_CALLS,
            unit=Dollars,
        )
    )
    board.with_panel(
        figure(
            frame(104, "Calls", f"How much was asked? Failed calls included. {WHOLE_DAYS}"),
            questions.CALLS_PER_DAY,
            unit=Short,
            per_day=True,
        )
    )
    board.with_panel(
        figure(
            frame(105, "Error rate", f"How many calls failed after all retries? {WHOLE_DAYS}"),
            questions.FAILED_CALLS,
            unit=PercentUnit,
            levels=[(None, "green"), (0.01, "yellow"), (0.05, "red")],
        )
    )
    board.with_panel(
        figure(
            frame(
                106,
                "Unpriced calls",
                "Can the money shown be trusted? Calls whose price is not known. Above 0, spend "
                f"is at least what is shown. {WHOLE_DAYS}",
            ),
            questions.UNPRICED_CALLS,
            unit=Short,
            levels=[(None, "green"), (1, "red")],
        )
    )
    for panel_id, column in ((107, "feature"), (108, "model")):
        board.with_panel(
            bars(
                Frame(
                    id=panel_id,
                    title=f"Spend per day by {column}",
                    question=f"Which {column} costs how much, and since when? {AT_LEAST}",
                    width=12,
                    height=9,
                ),
                questions.spend_per_day_by(column),
                unit=Dollars,
            )
        )


def _where_it_goes(board: Dashboard) -> None:
    any_unpriced = [(None, "transparent"), (1, "red")]
    per_call = [
        Column(name="Spend", unit=Dollars, decimals=2),
        Column(name="Calls", unit=Short),
        Column(name="Per 1k calls", unit=Dollars, decimals=2),
        Column(name="Errors", unit=PercentUnit, decimals=1),
        Column(name="Unpriced", unit=Short, levels=any_unpriced),
    ]
    only_this_feature = (
        f"/d/{UID}?${{__url_time_range}}&${{environment:queryparam}}&${{model:queryparam}}"
        "&var-feature=${__value.raw:percentencode}"
    )
    board.with_row(row(200, "Where it goes"))
    board.with_panel(
        rows(
            Frame(
                id=201,
                title="Features",
                question="Which feature is dear, and is it its traffic, its calls or its cache? "
                f"Click one to see it alone. {WHOLE_DAYS} Spend is at least what is shown where "
                "calls are unpriced.",
                width=24,
                height=9,
            ),
            questions.FEATURES,
            [
                Column(name="Feature", unit="string", link=only_this_feature),
                Column(name="Share", unit=PercentUnit, decimals=0, bar=True),
                Column(name="Cached input", unit=PercentUnit, decimals=0),
                Column(name="p95", unit=Milliseconds),
                *per_call,
            ],
            sorted_by="Spend",
        )
    )
    board.with_panel(
        rows(
            Frame(
                id=202,
                title="Top users",
                question=f"Who causes the spend? The 20 dearest. {WHOLE_DAYS} Spend is at least "
                "what is shown where calls are unpriced.",
                width=12,
                height=9,
            ),
            questions.USERS,
            [Column(name="User", unit="string"), *per_call],
            sorted_by="Spend",
        )
    )
    board.with_panel(
        bars(
            Frame(
                id=203,
                title="Tokens per day by class",
                question="What is paid for: new input, cached input, output or reasoning? "
                "The classes add up; none is part of another.",
                width=12,
                height=9,
            ),
            questions.TOKENS_PER_DAY,
            unit=Short,
            named_by=None,
        )
    )


def _how_it_went(board: Dashboard) -> None:
    board.with_row(row(300, "How it went"))
    for panel_id, title, question, state in (
        (301, "p95 latency by model", "How long do the slowest 5 % of calls take?", "duration"),
        (
            302,
            "p95 time to first chunk by model",
            "How long do users of streamed answers wait for the first word in the slowest 5 %?",
            "ttft",
        ),
    ):
        frame = Frame(id=panel_id, title=title, question=question, width=12, height=8)
        board.with_panel(lines(frame, questions.p95_by_model(state), unit=Milliseconds))
