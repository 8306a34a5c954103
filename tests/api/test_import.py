"""Other meters' exports, as they write them, and OTLP files, sent to a loopback receiver."""

from __future__ import annotations

import csv
import gzip
import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from google.protobuf.json_format import MessageToDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from api.test_cli import taximeter
from builders import NOON
from otlp_receiver import Receiver, Reply, receiving
from spans import request, span
from taximeter_api.imports.mapping import SHIPPED, fields_of
from taximeter_api.imports.rows import ImportRefused
from taximeter_api.imports.spans import is_wanted, request_of
from taximeter_collector import otlp
from taximeter_collector.calls import Call, Usage, UsageSource
from taximeter_collector.envelope import envelopes
from taximeter_collector.prices.book import PriceBook

WINDOW = otlp.Window.at(datetime(2026, 12, 1, tzinfo=UTC), timedelta(days=400))

LANGFUSE = {
    "id": "obs-1",
    "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
    "type": "GENERATION",
    "start_time": "2026-11-02 10:00:00.250000",
    "end_time": "2026-11-02 10:00:01.500000",
    "provided_model_name": "gpt-5-2025-08-07",
    "usage_details": {
        "input": 700,
        "input_cached_tokens": 300,
        "output": 80,
        "output_reasoning_tokens": 20,
        "total": 1100,
    },
    "user_id": "ada",
    "session_id": "s1",
    "environment": "production",
    "trace_name": "search",
    "prompt_name": "answer",
    "prompt_version": 3,
}
HELICONE = {
    "request_id": "0b7f-1",
    "provider": "OPENAI",
    "cache_reference_id": "00000000-0000-0000-0000-000000000000",
    "request_created_at": "2026-11-02T10:00:00.250Z",
    "delay_ms": "1250",
    "request_model": "gpt-4o",
    "response_model": "gpt-4o-2024-08-06",
    "prompt_tokens": "700",
    "prompt_cache_read_tokens": "300",
    "completion_tokens": "100",
    "response_status": "200",
    "request_user_id": "ada",
    "request_properties": '{"feature": "search"}',
}
LITELLM = {
    "request_id": "chatcmpl-9",
    "call_type": "acompletion",
    "startTime": "2026-11-02T10:00:00.250000",
    "endTime": "2026-11-02T10:00:01.500000",
    "model": "gpt-4o-2024-08-06",
    "custom_llm_provider": "openai",
    "prompt_tokens": 1000,
    "completion_tokens": 100,
    "total_tokens": 1100,
    "cache_hit": "False",
    "user": "",
    "end_user": "ada",
    "team_id": "core",
    "metadata": '{"usage_object": {"prompt_tokens_details": {"cached_tokens": 300}}}',
}
ROWS: dict[str, dict[str, Any]] = {"langfuse": LANGFUSE, "helicone": HELICONE, "litellm": LITELLM}
SOUND = "gpt-4o-audio-preview"
HEARD = {
    "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 500},
    "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 50},
}
NO_TOKENS: dict[str, Any] = {
    "prompt_tokens": 0,
    "completion_tokens": 0,
    "total_tokens": 0,
    "metadata": {},
}
FAILED = NO_TOKENS | {"status": "failure"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as started:
        yield started


def imported(
    receiver: Receiver, folder: Path, path: Path, *options: str
) -> subprocess.CompletedProcess[str]:
    port = str(urlsplit(receiver.url).port)
    return taximeter("import", str(path), *options, OTLP_PORT=port, DATA_DIR=str(folder / "data"))


def call_of(source: str, fields: dict[str, Any]) -> Call:
    body = request_of([ROWS[source] | fields], fields_of(source)).SerializeToString()
    (call,) = (otlp.call_of(one) for one in envelopes(body, WINDOW))
    assert call is not None
    return call


def cost(source: str, fields: dict[str, Any]) -> str:
    priced = PriceBook.shipped().priced(call_of(source, fields))
    return f"{priced.status} {'?' if priced.usd is None else priced.usd.normalize()}"


def failed_with(error_class: str) -> dict[str, Any]:
    return FAILED | {"metadata": {"error_information": {"error_class": error_class}}}


def calls(receiver: Receiver) -> list[Call]:
    bodies = (taken.SerializeToString() for taken in receiver.taken)
    found = (otlp.call_of(one) for body in bodies for one in envelopes(body, WINDOW))
    return [call for call in found if call is not None]


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(
                {
                    name: json.dumps(value) if isinstance(value, dict) else value
                    for name, value in row.items()
                }
                for row in rows
            )
    elif path.suffix == ".json":
        path.write_text(json.dumps({"data": rows}))
    else:
        text = "".join(f"{json.dumps(row)}\n" for row in rows).encode()
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


@pytest.mark.parametrize("name", ["export.csv", "export.json", "export.jsonl", "export.jsonl.gz"])
@pytest.mark.parametrize(
    ("source", "row"), [("langfuse", LANGFUSE), ("helicone", HELICONE), ("litellm", LITELLM)]
)
def test_an_export_becomes_calls(
    receiver: Receiver, tmp_path: Path, name: str, source: str, row: dict[str, Any]
) -> None:
    path = written(tmp_path / name, [row])

    done = imported(receiver, tmp_path, path, "--mapping", source)

    assert done.returncode == 0, done.stderr
    assert "1 rows, 1 sent now, 0 left out" in done.stdout
    (call,) = calls(receiver)
    assert call.ts == datetime(2026, 11, 2, 10, 0, 0, 250_000, tzinfo=UTC)
    assert (call.duration_ms, call.user_id, call.provider) == (1250, "ada", "openai")
    expected = {
        "langfuse": Usage(
            input_tokens=1000, cached_input_tokens=300, output_tokens=100, reasoning_tokens=20
        ),
        "helicone": Usage(
            source=UsageSource.ESTIMATED,
            input_tokens=1000,
            cached_input_tokens=300,
            output_tokens=100,
        ),
        "litellm": Usage(input_tokens=1000, cached_input_tokens=300, output_tokens=100),
    }
    assert call.usage == expected[source]
    if source == "langfuse":
        assert call.trace_id == LANGFUSE["trace_id"]
        assert (call.model, call.feature) == ("gpt-5-2025-08-07", "search")
        assert (call.environment, call.prompt_version) == ("production", "3")
    if source == "helicone":
        assert (call.model, call.feature) == ("gpt-4o-2024-08-06", "search")
        assert call.http_status == 200
    if source == "litellm":
        assert (call.call_id, call.team) == ("chatcmpl-9", "core")


def test_rows_of_other_kinds_times_or_without_sense_are_counted(
    receiver: Receiver, tmp_path: Path
) -> None:
    rows = [
        LANGFUSE,
        LANGFUSE | {"id": "obs-2", "type": "SPAN"},
        LANGFUSE | {"id": "obs-3", "start_time": "2026-11-09 00:00:00"},
        LANGFUSE | {"id": "obs-4", "start_time": "yesterday"},
        LANGFUSE | {"id": "obs-5", "usage_details": {"input": "many"}},
        LANGFUSE | {"id": "", "trace_name": "x"},
        LANGFUSE | {"id": "obs-7", "usage_details": {}},
    ]
    path = written(tmp_path / "export.jsonl", rows)

    done = imported(receiver, tmp_path, path, "--mapping", "langfuse", "--to", "2026-11-09")

    assert done.returncode == 1
    assert "7 rows, 2 sent now, 2 left out, 0 refused as too old, 3 unusable" in done.stdout
    assert "row 4: start_time or startTime: 'yesterday'; give an ISO date" in done.stderr
    assert "row 5: gen_ai.usage.input_tokens: ['many'] is no number" in done.stderr
    assert "row 6: id: nothing; every row needs its id" in done.stderr
    assert [call.usage.source for call in calls(receiver)] == [
        UsageSource.REPORTED,
        UsageSource.LOST,
    ]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"delay_ms": "slow"}, "delay_ms or latency: 'slow' is no number of milliseconds"),
        ({"delay_ms": "1e300"}, "delay_ms or latency: '1e300' is no number of milliseconds"),
        ({"delay_ms": "", "response_created_at": "0001-01-01T00:00:00"}, ""),
        ({"delay_ms": "-5"}, ""),
    ],
)
def test_a_duration_without_sense_stops_no_import(
    receiver: Receiver, tmp_path: Path, fields: dict[str, str], told: str
) -> None:
    path = written(tmp_path / "export.csv", [HELICONE | fields, HELICONE | {"request_id": "other"}])

    done = imported(receiver, tmp_path, path, "--mapping", "helicone")

    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert [call.duration_ms for call in calls(receiver)] == ([] if told else [0]) + [1250]


def test_an_import_that_stopped_goes_on_where_it_was(receiver: Receiver, tmp_path: Path) -> None:
    rows = [HELICONE | {"request_id": f"r{number}"} for number in range(2_500)]
    path = written(tmp_path / "export.csv", rows)
    receiver.replies = [Reply(), Reply(status=429, headers={"Retry-After": "0"}), Reply(status=400)]

    stopped = imported(receiver, tmp_path, path, "--mapping", "helicone")
    again = imported(receiver, tmp_path, path, "--mapping", "helicone")
    once_more = imported(receiver, tmp_path, path, "--mapping", "helicone")

    assert (stopped.returncode, again.returncode, once_more.returncode) == (2, 0, 0)
    assert "the service answered 400" in stopped.stderr
    assert "2,500 rows, 1,500 sent now" in again.stdout
    assert "2,500 rows, 0 sent now" in once_more.stdout
    assert len({call.call_id for call in calls(receiver)}) == len(calls(receiver)) == 2_500


def otlp_json(message: ExportTraceServiceRequest) -> dict[str, Any]:
    as_json = MessageToDict(message)
    for of_span in as_json["resourceSpans"][0]["scopeSpans"][0]["spans"]:
        of_span["traceId"], of_span["spanId"] = "07" * 16, "01" * 8
    return as_json


def test_otlp_files_are_sent_as_they_are(receiver: Receiver, tmp_path: Path) -> None:
    message = request(span({"gen_ai.response.id": "chatcmpl-1"}))
    lines = written(tmp_path / "traces.jsonl", [otlp_json(message)] * 2)
    binary = tmp_path / "traces.pb"
    binary.write_bytes(message.SerializeToString())
    packed = tmp_path / "traces.pb.gz"
    packed.write_bytes(gzip.compress(binary.read_bytes()))

    assert "2 rows, 2 sent now" in imported(receiver, tmp_path, lines).stdout
    assert "1 rows, 1 sent now" in imported(receiver, tmp_path, binary).stdout
    assert "1 rows, 1 sent now" in imported(receiver, tmp_path, packed).stdout

    assert [call.call_id for call in calls(receiver)] == ["chatcmpl-1"] * 4


@pytest.mark.parametrize("name", ["traces.jsonl", "traces.pb"])
def test_a_period_is_cut_out_of_otlp_too(receiver: Receiver, tmp_path: Path, name: str) -> None:
    message = request(
        span({"gen_ai.response.id": "before"}, start=NOON - timedelta(seconds=1)),
        span({"gen_ai.response.id": "from"}, start=NOON),
        span({"gen_ai.response.id": "to"}, start=NOON + timedelta(hours=1)),
    )
    path = tmp_path / name
    if path.suffix == ".pb":
        path.write_bytes(message.SerializeToString())
    else:
        written(path, [otlp_json(message)])
    end = NOON + timedelta(hours=1)

    done = imported(receiver, tmp_path, path, "--from", NOON.isoformat(), "--to", end.isoformat())
    none = imported(receiver, tmp_path, path, "--to", "2020-01-01")

    assert "1 rows, 1 sent now, 2 left out" in done.stdout, done.stderr
    assert "1 rows, 0 sent now, 3 left out" in none.stdout, none.stderr
    assert [call.call_id for call in calls(receiver)] == ["from"]


def test_one_bad_line_costs_only_itself(receiver: Receiver, tmp_path: Path) -> None:
    good = json.dumps(LANGFUSE).encode()
    path = tmp_path / "export.jsonl"
    path.write_bytes(good + b'\n{"broken": \n\n[1,2]\n' + good + b'\n{"name": "caf\xc3')

    done = imported(receiver, tmp_path, path, "--mapping", "langfuse")

    assert done.returncode == 1
    assert "5 rows, 2 sent now, 0 left out, 0 refused as too old, 3 unusable" in done.stdout
    assert [line.rpartition("export.jsonl")[2] for line in done.stderr.splitlines()] == [
        ":2: not a JSON object",
        ":4: not a JSON object",
        ":6: not a JSON object",
    ]
    assert len(calls(receiver)) == 2


def test_what_is_no_trace_ends_no_import_of_otlp(receiver: Receiver, tmp_path: Path) -> None:
    good = json.dumps(otlp_json(request(span())))
    path = tmp_path / "mixed.jsonl"
    path.write_text(f'{{"resourceLogs":[]}}\n{good}\n{good[:80]}\n{{"a": 1}}\n{good}\n')
    binary = tmp_path / "torn.pb"
    binary.write_bytes(request(span()).SerializeToString()[:-9])

    done = imported(receiver, tmp_path, path)
    torn = imported(receiver, tmp_path, binary)

    assert "5 rows, 2 sent now, 1 left out, 0 refused as too old, 2 unusable" in done.stdout
    assert "mixed.jsonl:3: not a JSON object" in done.stderr
    assert "row 4: no OTLP" in done.stderr
    assert "1 rows, 0 sent now, 0 left out, 0 refused as too old, 1 unusable" in torn.stdout
    assert len(calls(receiver)) == 2


def test_a_file_that_was_cut_off_gives_what_came_before(receiver: Receiver, tmp_path: Path) -> None:
    rows = [HELICONE | {"request_id": f"r{number}"} for number in range(20)]
    whole = written(tmp_path / "whole.csv", rows).read_bytes()
    packed = tmp_path / "packed.csv.gz"
    packed.write_bytes(gzip.compress(whole)[:-4])
    torn = tmp_path / "torn.csv"
    torn.write_bytes(whole[:-60])

    of_packed = imported(receiver, tmp_path, packed, "--mapping", "helicone")
    of_torn = imported(receiver, tmp_path, torn, "--mapping", "helicone")

    assert "21 rows, 20 sent now" in of_packed.stdout
    assert "packed.csv.gz: the rest can't be read: Compressed file ended" in of_packed.stderr
    assert "20 rows, 19 sent now" in of_torn.stdout
    assert "torn.csv:21: not as many fields as the header has" in of_torn.stderr
    assert (of_packed.returncode, of_torn.returncode) == (1, 1)
    assert len(calls(receiver)) == 39


@pytest.mark.parametrize(
    ("content", "name", "options", "told"),
    [
        ("{}\n", "x.jsonl", (), "no OTLP; say what wrote it: --mapping langfuse"),
        ("[]", "x.txt", (), "give a .csv, .json, .jsonl or .pb file"),
        ("{", "x.json", (), "x.json: "),
        ("{}", "x.json", ("--mapping", "phoenix"), "--mapping phoenix: give a file, or one of"),
        ("{}", "x.json", ("--to", "soon"), "--to='soon': give an ISO date"),
    ],
)
def test_what_can_not_be_imported_is_told_in_one_line(
    receiver: Receiver, tmp_path: Path, content: str, name: str, options: tuple[str], told: str
) -> None:
    path = tmp_path / name
    path.write_text(content)

    refused = imported(receiver, tmp_path, path, *options)

    assert refused.returncode == 2
    assert told in refused.stderr
    assert "Traceback" not in refused.stderr
    assert receiver.taken == []


def test_without_a_service_the_command_says_so(tmp_path: Path) -> None:
    path = written(tmp_path / "export.jsonl", [HELICONE])

    refused = taximeter(
        "import", str(path), "--mapping", "helicone", OTLP_PORT="1", DATA_DIR=str(tmp_path / "d")
    )

    assert refused.returncode == 2
    assert "no service answers at http://127.0.0.1:1: start it" in refused.stderr


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("mapping: {time: t, id: i, attributes: {user.name: u}}", "user.name: no attribute of"),
        ("mapping: {time: t, attributes: {}}", "id: "),
        ("mapping: 7", "mapping: give time, id and attributes"),
        ("mapping: {time: t, id: i, attributes: {}, when: x}", "when: not a field of a fields"),
    ],
)
def test_a_mapping_with_a_mistake_is_told_where(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)

    with pytest.raises(ImportRefused, match=r"mine\.yaml:1: ") as refused:
        fields_of(str(path))

    assert told in str(refused.value)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_shipped_mappings_are_right(name: str) -> None:
    assert fields_of(name).attributes


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (
            {"input": 700, "input_cached_tokens": 300, "output": 100, "total": 1100},
            "exact 0.0019125",
        ),
        (
            {
                "input": 700,
                "input_cached_tokens": 0,
                "cache_read_input_tokens": 300,
                "output": 60,
                "output_reasoning_tokens": 20,
                "output_accepted_prediction_tokens": 15,
                "output_rejected_prediction_tokens": 5,
                "total": 1100,
            },
            "exact 0.0019125",
        ),
        ({"input": 700, "input_film_tokens": 300, "output": 100, "total": 1100}, "unpriced ?"),
        ({"input": 0, "output": 0, "total": 0}, "unpriced ?"),
    ],
)
def test_the_parts_of_langfuse_are_the_whole_or_the_price_is_unknown(
    usage: dict[str, int], expected: str
) -> None:
    assert cost("langfuse", {"usage_details": usage}) == expected


@pytest.mark.parametrize(
    ("source", "fields", "expected"),
    [
        (
            "langfuse",
            {
                "usage_details": {
                    "input": 500,
                    "input_audio_tokens": 500,
                    "output": 50,
                    "output_audio_tokens": 50,
                    "total": 1100,
                }
            },
            "exact 0.02575",
        ),
        (
            "helicone",
            {
                "prompt_tokens": 1000,
                "prompt_cache_read_tokens": 0,
                "prompt_audio_tokens": 500,
                "completion_audio_tokens": 50,
            },
            "exact 0.02575",
        ),
        ("litellm", {"metadata": {"usage_object": HEARD}}, "exact 0.02575"),
        ("litellm", {"metadata": {"additional_usage_values": HEARD}}, "exact 0.02575"),
        ("langfuse", {}, "unpriced ?"),
        ("helicone", {"prompt_cache_read_tokens": 0}, "unpriced ?"),
        ("litellm", {"metadata": {}}, "unpriced ?"),
    ],
)
def test_audio_has_its_own_price_and_is_unknown_where_it_is_not_told(
    source: str, fields: dict[str, Any], expected: str
) -> None:
    models = {"provided_model_name": SOUND, "response_model": SOUND, "model": SOUND}

    assert cost(source, models | fields) == expected


@pytest.mark.parametrize(
    ("source", "fields"),
    [
        ("litellm", NO_TOKENS | {"metadata": {}, "model": "dall-e-3"}),
        ("litellm", {"call_type": "aretrieve_batch"}),
        ("litellm", {"total_tokens": 1300}),
        ("helicone", {"response_model": "gpt-image-1.5"}),
        ("helicone", {"response_status": -3}),
        ("langfuse", {"usage_details": None, "usage": {"input": 4, "total": 4, "unit": "IMAGES"}}),
    ],
)
def test_what_is_not_billed_by_the_token_alone_has_no_price(
    source: str, fields: dict[str, Any]
) -> None:
    assert cost(source, fields) == "unpriced ?"


def test_cached_tokens_of_helicone_are_an_estimate_and_reasoning_is_part_of_the_output() -> None:
    call = call_of("helicone", {"reasoning_tokens": 20, "completion_tokens": 80})

    assert (call.usage.output_tokens, call.usage.reasoning_tokens) == (100, 20)
    assert cost("helicone", {}) == "estimated 0.003125"
    assert cost("helicone", {"prompt_cache_read_tokens": 0}) == "exact 0.00275"


@pytest.mark.parametrize(
    ("source", "fields", "error", "status"),
    [
        ("helicone", {"response_status": 429}, "429", 429),
        ("langfuse", {"level": "ERROR", "usage_details": {}}, "_OTHER", None),
        ("litellm", FAILED, "_OTHER", None),
        (
            "litellm",
            failed_with("litellm.RateLimitError"),
            "litellm.RateLimitError",
            429,
        ),
        (
            "litellm",
            failed_with("Timeout"),
            "Timeout",
            None,
        ),
        ("litellm", failed_with("InternalServerError"), "InternalServerError", None),
    ],
)
def test_a_call_that_failed_is_an_error_and_free_only_where_the_api_refused_it(
    source: str, fields: dict[str, Any], error: str, status: int | None
) -> None:
    call = call_of(source, fields)

    assert (call.error_type, call.http_status) == (error, status)
    assert cost(source, fields) == ("free 0" if status else "unpriced ?")
    assert call_of(source, {}).error_type == ""


@pytest.mark.parametrize(
    ("source", "fields", "provider"),
    [
        ("helicone", {"provider": "AZURE"}, "azure.ai.openai"),
        ("helicone", {"provider": "ANTHROPIC"}, "anthropic"),
        ("helicone", {"provider": None}, ""),
        ("litellm", {"custom_llm_provider": "azure"}, "azure.ai.openai"),
    ],
)
def test_calls_of_other_providers_do_not_get_the_prices_of_openai(
    source: str, fields: dict[str, Any], provider: str
) -> None:
    assert call_of(source, fields).provider == provider
    assert cost(source, fields) == "unpriced ?"


def test_what_the_cache_of_helicone_answered_is_left_out() -> None:
    fields = fields_of("helicone")

    assert is_wanted(HELICONE, fields)
    assert not is_wanted(HELICONE | {"cache_reference_id": "6f1c2d1e-0000-4000-8000-1"}, fields)
