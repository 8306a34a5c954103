"""Checks of channels: the same words for doctor, the API and the pages."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from taximeter_alerts.budgets import Budget
from taximeter_alerts.state import State
from taximeter_api.checks import Finding
from taximeter_collector.settings import Settings


def of_channels(state: State, names: Collection[str]) -> dict[str, Finding]:
    """Say of each channel whether it takes messages."""
    gone, failing = state.channels.gone(), state.deliveries.failing()
    found = {}
    for name in names:
        problem = gone.get(name, "")
        if not problem and name in failing:
            error, waiting = failing[name]
            wait = "1 alert waits" if waiting == 1 else f"{waiting:,} alerts wait"
            problem = f"its last attempts failed ({error}); {wait}"
        advice = f"mend it, then taximeter alerts test {name}" if problem else ""
        found[name] = Finding(f"channel {name}", problem or "in use", advice)
    return found


def of_budgets(
    budgets: Iterable[Budget], names: Collection[str], settings: Settings
) -> Iterator[Finding]:
    for budget in budgets:
        for name in sorted(set(budget.channels) - set(names)):
            state = f"its channel {name} is not set up: its alerts wait"
            advice = f"add {name} to {settings.channels}, or name another"
            yield Finding(f"budget {budget.name}", state, advice)
