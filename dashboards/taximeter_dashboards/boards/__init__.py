"""The dashboards beside the overview: each with its questions and where they stand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from grafana_foundation_sdk.models.dashboard import Dashboard

from taximeter_dashboards.boards.budgets import budgets
from taximeter_dashboards.boards.feature import feature
from taximeter_dashboards.boards.models import models
from taximeter_dashboards.boards.reliability import reliability
from taximeter_dashboards.boards.savings import savings
from taximeter_dashboards.boards.trust import trust
from taximeter_dashboards.boards.users import users

DETAILS: Final[dict[str, Callable[[], Dashboard]]] = {
    "budgets.json": budgets,
    "feature.json": feature,
    "models.json": models,
    "users.json": users,
    "reliability.json": reliability,
    "savings.json": savings,
    "trust.json": trust,
}
