"""What helps calls without a known price, by the reason that is kept with them."""

from __future__ import annotations

from typing import Final

REPRICE: Final = "then taximeter reprice"
SENT: Final = "no price helps: mend what their apps send; /calls?only=unpriced lists them"
MENDS: Final = (
    ("no price for model ''", SENT),
    ("no entry for deployment", f"name it under `deployments` in {{prices}}, {REPRICE}"),
    ("no prices for ", f"say in {{prices}} who bills that host, or its rates, {REPRICE}"),
    ("no ", f"give the rate in {{prices}}, or upgrade to a book that has it, {REPRICE}"),
    (
        "the usage was lost",
        "no price helps: OpenAI's answer told no usage, or never came; taximeter[estimate] in the "
        "app counts the tokens of most streams",
    ),
    ("", SENT),
)
"""How a reason begins, and what helps then; the first that fits."""


def what_helps(reason: str, prices: object = "prices.yaml") -> str:
    """Return what to do; `prices` is the file that the team's own rates are in."""
    return next(mend for start, mend in MENDS if reason.startswith(start)).format(prices=prices)
