from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest
from opentelemetry.metrics import _internal
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider

import taximeter
from taximeter_api.demo.fake_openai import Answer

TOKENS = [4**n for n in range(14)]


class Meters:
    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader])

    def points(self, name: str) -> list[Any]:
        data = self._reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == f"gen_ai.client.{name}"
            for point in metric.data.data_points
        ]


@pytest.fixture
def meters() -> Iterator[Meters]:
    meters = Meters()
    yield meters
    taximeter.uninstrument()
    meters.provider.shutdown()


def test_a_call_is_measured_by_the_conventions(sdk: Any, fake: Any, meters: Meters) -> None:
    fake.answers = [Answer(input_tokens=90, output_tokens=9, model="gpt-5-2025-08-07")]
    taximeter.instrument(TracerProvider(), meter_provider=meters.provider)

    sdk.chat()

    labels = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-5",
        "gen_ai.response.model": "gpt-5-2025-08-07",
        "server.address": "127.0.0.1",
        "server.port": int(fake.url.split(":")[2].removesuffix("/v1")),
    }
    (duration,) = meters.points("operation.duration")
    assert duration.attributes == labels
    assert duration.sum > 0
    assert duration.explicit_bounds[0] == 0.01
    assert duration.explicit_bounds[-1] == 81.92
    tokens = {p.attributes["gen_ai.token.type"]: p for p in meters.points("token.usage")}
    assert {kind: point.sum for kind, point in tokens.items()} == {"input": 90, "output": 9}
    assert tokens["input"].attributes == {**labels, "gen_ai.token.type": "input"}
    assert list(tokens["input"].explicit_bounds) == TOKENS
    assert meters.points("operation.time_to_first_chunk") == []


def test_a_stream_is_measured_to_its_first_chunk(sdk: Any, meters: Meters) -> None:
    taximeter.instrument(TracerProvider(), meter_provider=meters.provider)

    sdk.read(sdk.chat(stream=True))

    (first,) = meters.points("operation.time_to_first_chunk")
    (whole,) = meters.points("operation.duration")
    assert 0 < first.sum <= whole.sum
    assert meters.points("token.usage") == []


def test_a_failed_call_is_measured_with_its_error(sdk: Any, fake: Any, meters: Meters) -> None:
    fake.answers = [Answer(status=400)]
    taximeter.instrument(TracerProvider(), meter_provider=meters.provider)

    with pytest.raises(openai.BadRequestError):
        sdk.chat()

    (duration,) = meters.points("operation.duration")
    assert duration.attributes["error.type"] == "BadRequestError"


def test_the_global_provider_is_used_as_soon_as_the_app_sets_one(
    sdk: Any, meters: Meters, monkeypatch: pytest.MonkeyPatch
) -> None:
    taximeter.instrument(TracerProvider())
    sdk.chat()

    monkeypatch.setattr(_internal, "_METER_PROVIDER", meters.provider)
    sdk.chat()

    (duration,) = meters.points("operation.duration")
    assert duration.count == 1
