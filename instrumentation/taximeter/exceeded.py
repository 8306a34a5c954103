"""What an app is told when a budget stops its call."""

from __future__ import annotations


class BudgetExceededError(Exception):
    """A budget with a stop is used up, so the request was not sent.

    Dollars are text with every digit; `resets_at` is a moment in ISO 8601.
    """

    def __init__(self, budget: str, scope: str, spent: str, limit: str, resets_at: str) -> None:
        super().__init__(
            f"budget {budget!r} ({scope}) is used up: ${spent} of ${limit}, until {resets_at}"
        )
        self.budget = budget
        self.scope = scope
        """Tags of the call that the budget is about, like `taximeter.feature=search`."""
        self.spent = spent
        self.limit = limit
        self.resets_at = resets_at

    def __reduce__(self) -> tuple[type[BudgetExceededError], tuple[str, ...]]:
        """Let it pass between processes: workers hand their errors over pickled."""
        told = (self.budget, self.scope, self.spent, self.limit, self.resets_at)
        return type(self), told
