from __future__ import annotations

import pytest

from bills import own
from taximeter_analysis.bill import Key, item_of, whose

KEYS = [
    Key(id="key_a", name="web", project="proj_1", redacted="sk-proj-****wxyz"),
    Key(id="key_b", name="batch", project="proj_2", redacted="sk-proj-****wxyz"),
    Key(id="key_c", name="old", project="proj_1", redacted="sk-abc...def"),
]


@pytest.mark.parametrize(
    ("line_item", "tier_model_item"),
    [
        ("gpt-6-astra, input_tokens", ("", "gpt-6-astra", "input")),
        ("gpt-5.5-2026-04-23, cached input", ("", "gpt-5.5-2026-04-23", "cached input")),
        ("gpt-6-astra, cache_write_tokens", ("", "gpt-6-astra", "cache write")),
        ("priority | gpt-5.5, output, long context", ("priority", "gpt-5.5", "output")),
        ("fast | gpt-5.5, output", ("priority", "gpt-5.5", "output")),
        ("gpt-audio-mini audio, input", ("", "gpt-audio-mini", "input")),
        ("ft:gpt-4o:acme:x:1, output", ("", "ft:gpt-4o:acme:x:1", "output")),
        ("whisper-1, audio", ("", "whisper-1", "units")),
        ("web search tool calls", ("", "", "web search")),
        ("Code interpreter sessions", ("", "", "container")),
        ("Vector storage", ("", "", "Vector storage")),
    ],
)
def test_a_line_item_names_tier_model_and_what_was_billed(
    line_item: str, tier_model_item: tuple[str, str, str]
) -> None:
    assert item_of(line_item) == tier_model_item


@pytest.mark.parametrize(
    ("key", "project", "found"),
    [
        ("wxyz", "proj_1", ("proj_1", "key_a")),
        ("wxyz-1a2b3c4d", "proj_2", ("proj_2", "key_b")),
        ("wxyz", "", ("", "?wxyz")),
        ("xdef", "", ("proj_1", "key_c")),
        ("0000", "proj_1", ("proj_1", "?0000")),
        ("", "proj_1", ("proj_1", "")),
        ("9f3k", "proj_1", ("proj_1", "key_c")),
    ],
)
def test_a_key_is_found_by_its_ending_in_its_project_or_by_the_map(
    key: str, project: str, found: tuple[str, str]
) -> None:
    assert whose(own(key=key, project=project), KEYS, {"9f3k": "key_c"}) == found
