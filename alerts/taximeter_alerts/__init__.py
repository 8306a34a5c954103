"""Taximeter's alerts: budgets watched, people told."""
