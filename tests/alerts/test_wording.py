"""A team's own texts: what they may say, and that they can't run away."""

from __future__ import annotations

from pathlib import Path

import pytest

from builders import alert, outgoing
from taximeter_alerts.message import Message, message_of, samples
from taximeter_alerts.voice import HTML, SLACK
from taximeter_alerts.wording import BadTemplate, check_templates


def written(folder: Path, text: str, name: str = "threshold.j2") -> Path:
    (folder / name).write_text(text)
    return folder


def said(folder: Path) -> Message:
    return message_of(outgoing(alert()), SLACK, folder)


def test_a_team_says_a_part_in_its_own_words_and_the_rest_is_ours(tmp_path: Path) -> None:
    written(
        tmp_path,
        "{% block title %}Ahoy, {{ budget | upper }}!{% endblock %}"
        "{% block summary %}{{ spent | strong }} <b>{% endblock %}",
    )

    message = said(tmp_path)

    assert check_templates(tmp_path, samples()) == ["threshold.j2"]
    assert message.title == "Ahoy, SEARCH!"
    assert message.summary == "*$6.00* <b>"
    assert ("Left", "$4.00") in message.facts
    assert message_of(outgoing(alert()), HTML, tmp_path).summary == "<strong>$6.00</strong> <b>"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{{ 'a' * 100000000 }}", "Mul may not be used"),
        ("{{ budget ~ budget }}", "Concat may not be used"),
        ("{{ budget.upper() }}", "Call may not be used"),
        ("{% set x = budget %}", "Assign may not be used"),
        ("{% set x %}{{ budget }}{% endset %}", "AssignBlock may not be used"),
        ("{% for a in range(9) %}{% endfor %}", "loop over a list of the facts"),
        ("{% for a in [1, 2] %}{% endfor %}", "loop over a list of the facts"),
        (
            "{% for a in features %}{% for b in features %}{% for c in features %}"
            "{% endfor %}{% endfor %}{% endfor %}",
            "at most one in another",
        ),
        ("{% for a in features recursive %}{% endfor %}", "loop over a list of the facts"),
        ("{{ budget | center(1000000) }}", "the filter center; give one of code, first"),
        ("{% include 'x' %}", "Include may not be used"),
        ("{% import 'x' as y %}", "Import may not be used"),
        ("{% macro m() %}{% endmacro %}", "Macro may not be used"),
        ("{{ budget", "threshold.j2:1: expected token"),
        ("{% endblock %}{% block titel %}x", "block titel; give one of title, line"),
        ("{% endblock %} loose text {% block line %}", "put all text into blocks"),
        ("{{ nonsense }}", "threshold.j2: 'nonsense' is undefined"),
        ("x" * 20_001, "20,001 characters; give at most 20,000"),
    ],
)
def test_what_could_run_away_is_refused_before_it_runs(
    tmp_path: Path, text: str, says: str
) -> None:
    written(tmp_path, f"{{% block title %}}{text}{{% endblock %}}" if "{" in text else text)

    with pytest.raises(BadTemplate) as refused:
        check_templates(tmp_path, samples())

    assert says in str(refused.value)


def test_a_template_of_no_kind_of_message_is_refused(tmp_path: Path) -> None:
    written(tmp_path, "", name="treshold.j2")

    with pytest.raises(BadTemplate, match=r"treshold\.j2: not a template; give acknowledged\.j2"):
        check_templates(tmp_path, samples())


@pytest.mark.parametrize("reach", ["budget.__class__", "budget['__class__']", "features.append"])
def test_attributes_of_python_are_out_of_reach(tmp_path: Path, reach: str) -> None:
    written(tmp_path, f"{{% block title %}}{{{{ {reach}.__mro__ }}}}{{% endblock %}}")

    with pytest.raises(BadTemplate, match=r"unsafe|undefined|has no"):
        check_templates(tmp_path, samples())
    # Whatever the check missed: the alert is told in our words.
    assert said(tmp_path).title == "🟡 50% of budget used: search (November 2026)"
