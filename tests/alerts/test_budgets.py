from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from taximeter_alerts.budgets import BudgetsError, parse_budgets, read_budgets
from taximeter_collector.live_file import LiveFile
from taximeter_collector.store import Dimension, Scope

GOOD = """\
budgets:
  - name: Everything
    amount: 850.10
  - name: Search of the web team
    amount: 20
    zone: Asia/Kolkata
    scope: {feature: [search, suggest], team: web}
    thresholds: [90, 50]
    owner: "@web"
"""


def test_a_budgets_file_says_what_it_says() -> None:
    everything, search = parse_budgets(GOOD, "budgets.yaml")

    assert everything.amount == Decimal("850.10")
    assert everything.thresholds == (50, 75, 90, 100)
    assert dict(everything.scope.values) == {}
    assert search.zone.key == "Asia/Kolkata"
    assert dict(search.scope.values) == {
        Dimension.FEATURE: ("search", "suggest"),
        Dimension.TEAM: ("web",),
    }
    assert search.thresholds == (50, 90)


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "budgets: []\n"])
def test_a_file_without_budgets_is_fine(text: str) -> None:
    assert parse_budgets(text, "budgets.yaml") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("budgets: [", "budgets.yaml:1: not YAML"),
        ("budget: []\n", "budgets.yaml:1: give one list under the name `budgets:`"),
        ("budgets:\n  - name: a\n", "budgets.yaml:2: amount: is missing; give name and amount"),
        (
            "budgets:\n  - name: a\n    amount: ten\n",
            "budgets.yaml:3: amount: 'ten': give dollars",
        ),
        (
            "budgets:\n  - name: a\n    amount: -1\n",
            "budgets.yaml:3: amount: '-1': give dollars",
        ),
        ("budgets:\n  - name: a\n    amount: nan\n", "budgets.yaml:3: amount: 'nan': give"),
        (
            "budgets:\n  - {name: a, amount: 1}\n  - {name: a, amount: 2}\n",
            ":3: name: 'a' is taken",
        ),
        (
            "budgets:\n  - name: a\n    amount: 1\n    zone: Mars\n",
            ":4: zone: 'Mars': give an IANA",
        ),
        (
            "budgets:\n  - name: a\n    amount: 1\n    limit: 2\n",
            ":4: limit: not a field of a budget",
        ),
        (
            "budgets:\n  - name: a\n    amount: 1\n    scope: {city: x}\n",
            ":4: scope: city is not a dimension; give some of api_key",
        ),
        (
            "budgets:\n  - name: a\n    amount: 1\n    currency: EUR\n",
            "currency: 'EUR': give USD",
        ),
        ("budgets: []\nbudgets: []\n", "budgets.yaml:2: budgets: given twice"),
        ("budgets:\n  - name: a\n    amount: 1\n    amount: 2\n", ":4: amount: given twice"),
        (
            "budgets:\n  - &a {name: a, amount: 1}\n  - name: b\n    <<: *a\n",
            "budgets.yaml:4: <<: merges are not read; write out what it stands for",
        ),
        ("budgets:\n  - name: a\n    amount: 1\n    zone: [UTC]\n", ":4: zone: give an IANA"),
        ("budgets:\n  - name: \x01\n", "budgets.yaml:2: not YAML"),
        ("[" * 3000, "budgets.yaml:1: "),
        (
            "budgets:\n  - name: a\n    amount: 1\n    thresholds:\n      - 50\n      - half\n",
            ":6: thresholds.1: 'half': give a whole number like 90",
        ),
    ],
)
def test_a_malformed_file_is_refused_with_line_and_field(text: str, message: str) -> None:
    with pytest.raises(BudgetsError) as refused:
        parse_budgets(text, "budgets.yaml")

    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_name_that_is_no_merge_and_a_repeated_value_are_read() -> None:
    text = 'budgets:\n  - {name: a, amount: 1, scope: &s {tags: {"<<": x}}}\n'

    first, second = parse_budgets(f"{text}  - {{name: b, amount: 1, scope: *s}}\n", "b.yaml")

    assert first.scope == second.scope
    assert first.scope.tags == {"<<": ("x",)}


def test_a_missing_file_means_no_budgets(tmp_path: Path) -> None:
    assert read_budgets(tmp_path / "budgets.yaml") == []


def test_an_edit_counts_and_a_broken_edit_leaves_the_budgets_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "budgets.yaml"
    file = LiveFile(path, read_budgets)
    assert file.current() == []

    path.write_text("budgets:\n  - {name: a, amount: 1}\n")
    assert [one.name for one in file.current()] == ["a"]

    path.write_text("budgets:\n  - {name: a, amount: one}\n")
    assert [one.name for one in file.current()] == ["a"]

    assert "amount: 'one'" in file.problem

    path.unlink()
    assert [one.name for one in file.current()] == ["a"]
    assert "the file is gone" in file.problem

    path.write_text("budgets:\n  - {name: bb, amount: 1}\n")
    assert [one.name for one in file.current()] == ["bb"]


def test_a_scope_may_leave_values_out() -> None:
    text = "budgets: [{name: a, amount: 1, scope: {team: web, environment: {not: [dev, staging]}}}]"

    (one,) = parse_budgets(text, "budgets.yaml")

    assert one.scope == Scope(
        {Dimension.TEAM: ("web",)}, {Dimension.ENVIRONMENT: ("dev", "staging")}
    )


@pytest.mark.parametrize("wanted", ["{not: []}", "{not: {x: y}}", "{but: x}", "[]"])
def test_a_scope_that_is_not_understood_is_told_the_forms(wanted: str) -> None:
    text = f"budgets: [{{name: a, amount: 1, scope: {{team: {wanted}}}}}]"

    with pytest.raises(BudgetsError, match="give a value, a list of values, or"):
        parse_budgets(text, "budgets.yaml")
