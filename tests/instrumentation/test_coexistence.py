"""Frameworks and other instrumentations in the same process, as programs of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from receiver import receiving
from taximeter_api.demo.fake_openai import Answer, fake_openai, serving

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / "tests" / "data" / "coexistence"
ENVIRONMENTS = ROOT / ".cache" / "coexistence"

LOCKED = ("pydantic_ai", "langfuse", "traceloop")
APART = {
    "langchain": "openai-3",
    "agents": "openai-3",
    "litellm": "openai-2",
    "instructor": "openai-2",
    "llama_index": "openai-2",
}
"""Libraries kept out of the lock, and which of tests/coexistence-environments has them."""
APART_IN_MATRIX = [pytest.param(library, marks=pytest.mark.matrix) for library in APART]


@pytest.mark.parametrize("library", [*LOCKED, *APART_IN_MATRIX])
def test_each_call_of_a_framework_counts_once_and_its_app_gets_what_it_got(library: str) -> None:
    python, program = python_with(library), PROGRAMS / f"{library}_app.py"

    bare, served_bare = run([python, program])
    with receiving() as receiver:
        launcher = [python, "-m", "taximeter.launch", python, program]
        metered, served = run(launcher, TAXIMETER_ENDPOINT=receiver.url)

    assert (bare.returncode, bare.stderr) == (0, "")
    assert (metered.returncode, metered.stderr) == (0, "")
    assert metered.stdout == bare.stdout
    assert served == served_bare
    assert len(served) >= 2
    assert sorted(map(billed, receiver.spans)) == sorted(map(reported, served))


def python_with(library: str) -> Path:
    """Give an interpreter that has the library."""
    if library in LOCKED:
        return Path(sys.executable)
    return ENVIRONMENTS / APART[library] / "bin" / "python"


def run(
    command: list[Any], **variables: str
) -> tuple[subprocess.CompletedProcess[str], list[tuple[str, Answer]]]:
    """Run a program against a new OpenAI; gives what became of it and what it was served."""
    served: list[tuple[str, Answer]] = []

    def decide(path: str, _body: object) -> Answer:
        number = len(served) + 1
        answer = Answer(
            text='{"city": "Oslo"}',
            model="gpt-5-2025-08-07",
            input_tokens=1000 + number,
            cached_tokens=100 + number,
        )
        served.append((path, answer))
        return answer

    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("TAXIMETER_", "OTEL_"))}
    with serving(fake_openai(decide)) as url:
        done = subprocess.run(
            [str(part) for part in command],
            env={**inherited, "FAKE_URL": f"{url}/v1", **variables},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    return done, served


def billed(span: dict[str, Any]) -> tuple[Any, ...]:
    counts = ("input_tokens", "cache_read.input_tokens", "output_tokens")
    return (
        span["openai.api.type"],
        span["gen_ai.response.model"],
        *(span.get(f"gen_ai.usage.{count}", 0) for count in counts),
    )


def reported(exchange: tuple[str, Answer]) -> tuple[Any, ...]:
    path, answer = exchange
    api = path.removeprefix("/v1/").replace("/", ".")
    embedded = api == "embeddings"
    cached, output = (0, 0) if embedded else (answer.cached_tokens, answer.output_tokens)
    return (api, answer.model, answer.input_tokens, cached, output)
