"""The dashboards beside the overview, as what is asked and where it stands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.units import Dollars, Milliseconds, PercentUnit, Short

from taximeter_dashboards import detail_questions as asking
from taximeter_dashboards import questions
from taximeter_dashboards.board import AT_LEAST, WHOLE_DAYS, board_of
from taximeter_dashboards.panels import Column, Frame, bars, figure, lines, row, rows

RED_FROM_ONE: Final = [(None, "transparent"), (1, "red")]
GOOD_UNTIL: Final = [(None, "green"), (0.01, "yellow"), (0.05, "red")]
SPEND: Final = Column(name="Spend", unit=Dollars, decimals=2)
CALLS: Final = Column(name="Calls", unit=Short)
PER_1000: Final = Column(name="Per 1k calls", unit=Dollars, decimals=2)
ERRORS: Final = Column(name="Errors", unit=PercentUnit, decimals=1)
UNPRICED: Final = Column(name="Unpriced", unit=Short, levels=RED_FROM_ONE)
INPUT_A_CALL: Final = Column(name="Input a call", unit=Short, decimals=0)
OUTPUT_A_CALL: Final = Column(name="Output a call", unit=Short, decimals=0)


def text(name: str) -> Column:
    return Column(name=name, unit="string")


def counts(*names: str) -> list[Column]:
    return [Column(name=name, unit=Short) for name in names]


def dollars(*names: str) -> list[Column]:
    return [Column(name=name, unit=Dollars, decimals=2) for name in names]


def small(panel_id: int, title: str, question: str, width: int = 6) -> Frame:
    return Frame(id=panel_id, title=title, question=question, width=width, height=4)


def large(panel_id: int, title: str, question: str, width: int = 12) -> Frame:
    return Frame(id=panel_id, title=title, question=question, width=width, height=9)


def feature() -> model.Dashboard:
    board = board_of("taximeter-feature", "feature", "Why is a feature dear?")
    board.with_row(row(100, "Why is it dear?"))
    board.with_panel(
        bars(
            large(101, "Cost per day by class", f"Is it input, output or other units? {AT_LEAST}"),
            asking.COST_BY_CLASS,
            unit=Dollars,
            named_by=None,
        )
    )
    board.with_panel(
        bars(
            large(102, "Tokens a call", "Do its prompts or answers grow? Of calls that succeeded."),
            asking.TOKENS_A_CALL,
            unit=Short,
            named_by=None,
        )
    )
    board.with_panel(
        rows(
            large(103, "Prompt versions", f"Did a new version make it dearer? {AT_LEAST}", 24),
            asking.PROMPT_VERSIONS,
            [
                *(text("Prompt"), text("Version"), SPEND, CALLS, PER_1000),
                *(INPUT_A_CALL, OUTPUT_A_CALL, ERRORS, UNPRICED),
            ],
            sorted_by="Spend",
        )
    )
    board.with_row(row(200, "Its calls"))
    board.with_panel(
        rows(
            large(201, "Output limits", "Is max_tokens missing, or far above what is used?"),
            asking.OUTPUT_LIMITS,
            [
                *(text("Feature"), CALLS),
                Column(name="Without a limit", unit=PercentUnit, decimals=0),
                *(
                    Column(name=one, unit=Short)
                    for one in ("p99 output", "Longest", "Median limit")
                ),
            ],
            sorted_by="Longest",
        )
    )
    board.with_panel(
        rows(
            large(202, "Dearest calls", "Which single calls cost most? Those with a known price."),
            asking.DEAREST_CALLS,
            [
                *(text("When"), text("Response id"), text("Feature"), text("User"), text("Model")),
                Column(name="Spend", unit=Dollars, decimals=4),
                *counts("Input", "Output"),
                text("Trace id"),
            ],
            sorted_by="Spend",
        )
    )
    return board.build()


def models() -> model.Dashboard:
    board = board_of("taximeter-models", "models", "Is each feature on the right model?")
    board.with_row(row(100, "Which model costs what?"))
    board.with_panel(
        bars(
            large(101, "Spend per day by model", f"Which model costs how much? {AT_LEAST}"),
            questions.spend_per_day_by("model"),
            unit=Dollars,
        )
    )
    board.with_panel(
        lines(
            large(102, "Cached share of input", "Does the prompt cache work, and since when?"),
            asking.CACHED_SHARE,
            unit=PercentUnit,
        )
    )
    classes = [
        Column(name=one, unit=Dollars, decimals=2) for one in ("Input", "Cached input", "Output")
    ]
    board.with_panel(
        rows(
            large(103, "Models", f"What is paid for in each model? {AT_LEAST} {WHOLE_DAYS}", 24),
            asking.MODELS,
            [
                *(text("Model"), SPEND, CALLS, PER_1000, *classes),
                Column(name="Reasoning", unit=PercentUnit, decimals=0),
                *(ERRORS, UNPRICED),
            ],
            sorted_by="Spend",
        )
    )
    board.with_panel(
        rows(
            large(
                104, "Features by model", f"Which feature could use a smaller one? {AT_LEAST}", 24
            ),
            asking.MATRIX,
            [
                *(text("Feature"), text("Model"), SPEND, CALLS, PER_1000),
                *(INPUT_A_CALL, OUTPUT_A_CALL, UNPRICED),
            ],
            sorted_by="Spend",
        )
    )
    return board.build()


def users() -> model.Dashboard:
    board = board_of("taximeter-users", "users", "Who causes the spend? Any model.")
    board.with_row(row(100, "Who?"))
    board.with_panel(
        figure(
            small(101, "Users", "How many users call a day? To about 1 %.", 12),
            asking.DISTINCT_USERS,
            unit=Short,
            per_day=True,
        )
    )
    board.with_panel(
        figure(
            small(
                102, "Ten dearest users", "How much of the spend with a known price is theirs?", 12
            ),
            asking.CONCENTRATION,
            unit=PercentUnit,
        )
    )
    days = dollars("Last day", "Usual day")
    board.with_panel(
        rows(
            large(
                103, "Dearest users", f"Who is dear, and is today like other days? {AT_LEAST}", 24
            ),
            asking.USERS_TODAY,
            [text("User"), *days, SPEND, CALLS, ERRORS, UNPRICED],
            sorted_by="Spend",
        )
    )
    return board.build()


def reliability() -> model.Dashboard:
    board = board_of("taximeter-reliability", "reliability", "How well do the calls go?")
    board.with_row(row(100, "How often does it fail?"))
    for frame, sql, unit, levels in (
        (small(101, "Errors", "How many calls fail after all retries?", 5),
         questions.FAILED_CALLS, PercentUnit, GOOD_UNTIL),
        (small(102, "Rate limited", "How many calls end with a 429?", 5),
         asking.RATE_LIMITED, PercentUnit, GOOD_UNTIL),
        (small(103, "Extra attempts a call", "How much is retried?", 5),
         asking.EXTRA_ATTEMPTS, Short, [(None, "green"), (0.1, "yellow"), (0.5, "red")]),
        (small(104, "Without a timeout", "How many calls may hang for ten minutes?", 5),
         asking.NO_TIMEOUT, PercentUnit, [(None, "text")]),
        (small(105, "Spend on failed calls", "What was paid for nothing? Known prices only.", 4),
         asking.WASTED, Dollars, [(None, "text")]),
    ):  # fmt: skip
        board.with_panel(figure(frame, sql, unit=unit, levels=levels))
    board.with_panel(
        bars(
            large(106, "Calls by outcome", "Which errors, and when?"),
            asking.OUTCOMES,
            unit=Short,
        )
    )
    board.with_panel(
        lines(
            large(
                107, "Rate-limit headroom", "How near is the limit of requests? The least left.", 12
            ),
            asking.HEADROOM,
            unit=Short,
        )
    )
    board.with_row(row(200, "How long does it take?"))
    percentiles = [Column(name=one, unit=Milliseconds) for one in ("p50", "p95", "p99")]
    board.with_panel(
        rows(
            large(201, "Latency by feature", "Which feature is slow?"),
            asking.LATENCY,
            [text("Feature"), *percentiles],
            sorted_by="p95",
        )
    )
    board.with_panel(
        lines(
            large(202, "p95 time to first chunk by model", "How long until the first word?"),
            questions.p95_by_model("ttft"),
            unit=Milliseconds,
        )
    )
    return board.build()


def trust() -> model.Dashboard:
    board = board_of("taximeter-trust", "trust", "Can the dollars be trusted?")
    board.with_row(row(100, "What is not exact?"))
    for frame, sql, unit, levels in (
        (small(101, "Unpriced calls", "How many calls have no known price?", 8),
         questions.UNPRICED_CALLS, Short, [(None, "green"), (1, "red")]),
        (small(102, "Estimated calls", "How much usage was lost and estimated?", 8),
         asking.ESTIMATED, PercentUnit, GOOD_UNTIL),
        (small(103, "Altered tags", "How many calls have tags that could not stay as given?", 8),
         asking.ALTERED, Short, [(None, "green"), (1, "yellow")]),
    ):  # fmt: skip
        board.with_panel(figure(frame, sql, unit=unit, levels=levels))
    board.with_panel(
        bars(
            large(
                104, "Calls by trust", "How are the costs known: exact, estimated, free, not?", 12
            ),
            asking.BY_TRUST,
            unit=Short,
        )
    )
    board.with_panel(
        rows(
            large(105, "Without a price", "Which models need a rate, and why?"),
            asking.WITHOUT_PRICE,
            [text("Model"), text("Reason"), CALLS],
            sorted_by="Calls",
        )
    )
    board.with_row(row(200, "What is missing?"))
    board.with_panel(
        rows(
            large(201, "Lost on the way", "Which service could not deliver its spans?"),
            asking.LOST,
            [text("Service"), Column(name="Lost", unit=Short, levels=RED_FROM_ONE)],
            sorted_by="Lost",
        )
    )
    ledger = [
        Column(name=one, unit=Dollars, decimals=2) for one in ("Billed", "Metered", "Difference")
    ]
    board.with_panel(
        rows(
            large(
                202,
                "OpenAI's bill",
                "Does the bill agree? Calls without a price explain a part.",
                12,
            ),
            asking.BILL,
            [Column(name="Month", unit="time:YYYY-MM"), *ledger],
            sorted_by="Month",
        )
    )
    return board.build()


def budgets() -> model.Dashboard:
    board = board_of("taximeter-budgets", "budgets", "Which budgets are in danger?")
    board.with_row(row(100, "Which are in danger?"))
    red = [(None, "green"), (1, "red")]
    for frame, sql in (
        (small(101, "Over their limit", "How many are used up?", 8), asking.BUDGETS_OVER),
        (small(102, "On course to pass it", "How many will be?", 8), asking.BUDGETS_ON_COURSE),
        (small(103, "Not delivered", "Which alerts reached nobody?", 8), asking.NOT_DELIVERED),
    ):
        board.with_panel(figure(frame, sql, unit=Short, levels=red))
    board.with_panel(
        rows(
            large(104, "Budgets", f"How much is used, and where will it end? {AT_LEAST}", 14),
            asking.BUDGETS,
            [
                text("Budget"),
                Column(name="Used", unit=PercentUnit, decimals=1, bar=True),
                *(SPEND, *dollars("Budgeted", "Forecast")),
                Column(name="Ends", unit="dateTimeAsIso"),
                UNPRICED,
            ],
            sorted_by="Used",
        )
    )
    board.with_panel(
        rows(
            large(105, "What is left", f"How much a day is safe until the end? {AT_LEAST}", 10),
            asking.DAYS_LEFT,
            [
                text("Budget"),
                Column(name="Days left", unit=Short, decimals=1),
                *dollars("Left", "Safe a day"),
            ],
            sorted_by="Left",
        )
    )
    board.with_row(row(200, "What was told?"))
    board.with_panel(
        rows(
            large(201, "Alert log", f"Who was told what, and did it arrive? {AT_LEAST}", 24),
            asking.ALERT_LOG,
            [
                *(text("When"), text("Budget"), text("Kind"), *counts("Percent")),
                *(SPEND, *dollars("Budgeted"), text("Channel"), text("Delivery")),
                *(*counts("Attempts"), text("Error")),
            ],
            sorted_by="When",
        )
    )
    return board.build()


def savings() -> model.Dashboard:
    board = board_of("taximeter-savings", "savings", "What would save money? Of all environments.")
    board.with_row(row(100, "What would save money?"))
    about = "From the calls with a known price of the last 14 days; findings may overlap."
    board.with_panel(
        figure(
            small(101, "Could be saved a month", f"How much is on the table? {about}", 24),
            asking.FINDINGS_TOTAL,
            unit=Dollars,
        )
    )
    board.with_panel(
        rows(
            large(102, "Findings", f"What to change, and why? {about}", 24),
            asking.FINDINGS,
            [
                *(text("Finding"), text("Feature"), text("Model"), text("Advice")),
                *(text("Evidence"), *dollars("A month"), text("Confidence")),
            ],
            sorted_by="A month",
        )
    )
    return board.build()


DETAILS: Final[dict[str, Callable[[], model.Dashboard]]] = {
    "budgets.json": budgets,
    "feature.json": feature,
    "models.json": models,
    "users.json": users,
    "reliability.json": reliability,
    "savings.json": savings,
    "trust.json": trust,
}
