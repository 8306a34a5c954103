"""Each method of the SDK is metered in the matrix, or can't bill for a stated reason."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import openai
import pytest
from openai._resource import AsyncAPIResource, SyncAPIResource

from situations import SITUATIONS

READS = {"get", "get_api_list", "delete"}
"""Requests that bill nothing themselves; those that tell of earlier work are in the matrix."""
VERB = re.compile(r"self\._(get|get_api_list|delete|post|put|patch)\(")

FREE_BY_DESIGN = {
    "admin.*": "administration",
    "audio.voice_consents.*": "keeps a consent; the voice is billed when it speaks",
    "audio.voices.create": "keeps a voice; it is billed when it speaks",
    "beta.agents.create": "keeps a definition; turns are billed",
    "beta.agents.update": "keeps a definition; turns are billed",
    "beta.agents.automations.*": "keeps a schedule; its turns are billed",
    "beta.agents.environments.*": "keeps files and settings",
    "beta.agents.sessions.artifacts.for_result": "picks from what was listed",
    "beta.agents.sessions.create": "begins turns, which bill when they complete",
    "beta.agents.sessions.events.create": "begins turns, which bill when they complete",
    "beta.agents.sessions.stream": "reads the events of the session, which are in the matrix",
    "beta.agents.sessions.update": "keeps settings",
    "beta.agents.vaults.*": "keeps secrets",
    "beta.assistants.*": "keeps a definition; runs are billed",
    "beta.chat.completions.update": "keeps metadata",
    "beta.chatkit.sessions.*": "hands a token to a browser, which calls without this process",
    "beta.responses.cancel": "ends what is in the matrix as responses.cancel",
    "beta.responses.input_tokens.count": "counts tokens, free of charge",
    "beta.threads.create": "keeps messages; runs are billed",
    "beta.threads.messages.*": "keeps messages; runs are billed",
    "beta.threads.runs.update": "keeps metadata",
    "beta.threads.update": "keeps metadata",
    "chat.completions.update": "keeps metadata",
    "containers.files.create": "keeps a file; the session is billed",
    "content_provenance_checks.create": "has no price",
    "conversations.create": "keeps items; responses are billed",
    "conversations.items.create": "keeps items; responses are billed",
    "conversations.update": "keeps metadata",
    "evals.create": "keeps a definition; its runs are billed",
    "evals.runs.cancel": "ends a run, whose usage its retrieval tells",
    "evals.update": "keeps metadata",
    "files.*": "keeps a file, which is billed by the day, if at all",
    "fine_tuning.alpha.graders.validate": "checks a definition",
    "fine_tuning.checkpoints.permissions.create": "administration",
    "fine_tuning.jobs.cancel": "ends a job, whose tokens its retrieval tells",
    "fine_tuning.jobs.pause": "pauses a job",
    "fine_tuning.jobs.resume": "resumes a job",
    "live.create": "bills over its media connection, which this process does not see",
    "live.sessions.*": "steers a session that bills over its media connection",
    "realtime.calls.*": "steers a call that bills over its media connection",
    "realtime.client_secrets.create": "hands a token to a browser",
    "realtime.translations.client_secrets.create": "hands a token to a browser",
    "beta.realtime.sessions.create": "hands a token to a browser",
    "beta.realtime.transcription_sessions.create": "hands a token to a browser",
    "responses.input_tokens.count": "counts tokens, free of charge",
    "skills.*": "keeps files",
    "uploads.*": "keeps a file, which is billed by the day, if at all",
    "vector_stores.create": "keeps files, which are billed by the day",
    "vector_stores.file_batches.*": "keeps files, which are billed by the day",
    "vector_stores.files.*": "keeps files, which are billed by the day",
    "vector_stores.search": "only searches by the tool of a response have a price",
    "vector_stores.update": "keeps settings",
    "videos.create_character": "has no price; its videos are billed",
    "webhooks.*": "administration; checks a signature without a request",
}
ELSEWHERE = {
    "*.connect": "a websocket, which has tests of its own",
}


def methods(client: Any, kind: type, path: str = "") -> Iterator[tuple[str, Any]]:
    """Walk the resources of a client."""
    for name in sorted(dir(type(client))):
        if name.startswith(("_", "with_")):
            continue
        member = getattr(client, name, None)
        if isinstance(member, kind):
            yield from methods(member, kind, f"{path}{name}.")
        elif path and inspect.ismethod(member):
            yield f"{path}{name}", member


@cache
def all_methods(kind: str) -> dict[str, Any]:
    if kind == "sync":
        return dict(methods(openai.OpenAI(api_key="sk-test"), SyncAPIResource))
    return dict(methods(openai.AsyncOpenAI(api_key="sk-test"), AsyncAPIResource))


def metered() -> set[str]:
    raw = re.compile(r"with_(raw|streaming)_response\.")
    return {raw.sub("", step.method) for situation in SITUATIONS for step in situation.steps}


def only_reads(method: Any) -> bool:
    verbs = set(VERB.findall(inspect.getsource(inspect.unwrap(method))))
    return bool(verbs) and verbs <= READS


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_every_method_is_metered_or_free_for_a_reason(kind: str) -> None:
    reasons = [*FREE_BY_DESIGN, *ELSEWHERE]
    exercised = metered()

    unknown = [
        path
        for path, method in all_methods(kind).items()
        if path not in exercised
        and not only_reads(method)
        and not any(fnmatchcase(path, pattern) for pattern in reasons)
    ]

    assert unknown == []


@pytest.mark.skipif(openai.__version__ < "3", reason="older versions have fewer methods")
def test_no_reason_is_given_for_what_is_metered_or_gone() -> None:
    paths = set(all_methods("sync"))

    stale = [
        pattern
        for pattern in FREE_BY_DESIGN
        if not (matching := [path for path in paths if fnmatchcase(path, pattern)])
        or set(matching) & metered()
    ]

    assert stale == []


def test_sync_and_async_have_the_same_methods() -> None:
    assert set(all_methods("sync")) == set(all_methods("async"))
