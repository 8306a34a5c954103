"""What an app does with the SDK, what the API answers, and what must be billed for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import openai_bodies as bodies
from fake_api import Reply, events_reply, json_reply
from openai_bodies import CHAT_TOKENS, LOST, RUN_TOKENS, SENTINEL, TOKENS, units

Billed = Mapping[str, Any]
Body = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One method of the SDK, as `beta.threads.runs.create`."""

    method: str
    arguments: Mapping[str, Any]
    reads: str = ""
    """How a raw response is read."""
    limit: int | None = None
    """How many events are read before the stream is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    name: str
    steps: tuple[Step, ...]
    replies: tuple[Reply, ...]
    billed: tuple[Billed, ...]
    """The tokens, meters and source of each span there must be."""
    says: Mapping[str, Any] = field(default_factory=dict)
    """Further attributes of the first span."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """Of the client: retries and timeout."""

    def __str__(self) -> str:
        return self.name


def step(method: str, *, reads: str = "", limit: int | None = None, **arguments: Any) -> Step:
    return Step(method=method, arguments=arguments, reads=reads, limit=limit)


def situation(
    name: str, steps: Step | tuple[Step, ...], *replies: Reply, billed: Any, **rest: Any
) -> Situation:
    return Situation(
        name=name,
        steps=steps if isinstance(steps, tuple) else (steps,),
        replies=replies,
        billed=billed if isinstance(billed, tuple) else (billed,),
        **rest,
    )


ASKED = [{"role": "user", "content": SENTINEL}]
CHAT: Body = {"model": "gpt-5", "messages": ASKED}
COUNTED: Body = {"stream": True, "stream_options": {"include_usage": True}}
FUNCTION: Body = {
    "type": "function",
    "function": {
        "name": "look_up",
        "strict": True,
        "parameters": {"type": "object", "properties": {}, "additionalProperties": False},
    },
}
CALLED: Body = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "look_up", "arguments": "{}"},
}
SPOKEN: Body = {
    "id": "audio_1",
    "data": "aGk=",
    "expires_at": bodies.CREATED,
    "transcript": SENTINEL,
}
SCHEMA: Body = {
    "type": "json_schema",
    "json_schema": {"name": "answer", "schema": {"type": "object", "properties": {}}},
}


def generated() -> Any:
    """Give messages as an iterator, which can be read once."""
    return iter(ASKED)


RESPOND: Body = {"model": "gpt-5", "input": SENTINEL}
SOUND = ("speech.wav", b"RIFF" + SENTINEL.encode(), "audio/wav")
PICTURE = ("picture.png", b"\x89PNG" + SENTINEL.encode(), "image/png")
SAID: Body = {"voice": "alloy", "input": SENTINEL}
RUN: Body = {"thread_id": "thread_1", "assistant_id": "asst_1"}
RUN_1: Body = {"thread_id": "thread_1", "run_id": "run_1"}
COMPLETED_RUN = json_reply(bodies.run("completed", usage=True))
TURN: Body = {
    "id": "turn_1",
    "object": "agent.session.turn",
    "agent_id": "agent_1",
    "session_id": "session_1",
    "created_at": bodies.CREATED,
    "status": "completed",
    "usage": {**bodies.USAGE, "input_tokens_details": {"cached_tokens": 60}},
}
TURN_TOKENS: Body = {k: v for k, v in TOKENS.items() if "cache_write" not in k}


CHATS = [
    situation(
        "chat", step("chat.completions.create", **CHAT), json_reply(bodies.completion()),
        billed=CHAT_TOKENS,
        says={
            "openai.api.type": "chat.completions",
            "gen_ai.operation.name": "chat",
            "gen_ai.response.id": "chatcmpl-1",
            "gen_ai.response.model": "gpt-5-2025-08-07",
            "gen_ai.response.finish_reasons": ("stop",),
            "openai.response.service_tier": "default",
            "taximeter.request.id": "req_00000001",
            "taximeter.attempts": 1,
            "http.response.status_code": 200,
        },
    ),
    situation(
        "chat with several choices", step("chat.completions.create", **CHAT, n=2),
        json_reply(bodies.completion("a", "b")),
        billed=CHAT_TOKENS, says={"gen_ai.response.finish_reasons": ("stop", "stop")},
    ),
    situation(
        "chat with tools", step("chat.completions.create", **CHAT, tools=[FUNCTION]),
        json_reply(bodies.completion(tool_calls=[CALLED])),
        billed=CHAT_TOKENS, says={"gen_ai.response.finish_reasons": ("tool_calls",)},
    ),
    situation(
        "chat with audio",
        step("chat.completions.create", model="gpt-audio", messages=ASKED,
             modalities=["text", "audio"], audio={"voice": "alloy", "format": "wav"}),
        json_reply(bodies.completion(audio=SPOKEN)), billed=CHAT_TOKENS,
    ),
    situation(
        "chat with messages from a generator",
        step("chat.completions.create", model="gpt-5", messages=generated),
        json_reply(bodies.completion()), billed=CHAT_TOKENS,
    ),
    situation(
        "chat with fields beside the SDK's",
        step("chat.completions.create", **CHAT, extra_body={"model": "of-the-body", "odd": 1}),
        json_reply(bodies.completion()),
        billed=CHAT_TOKENS, says={"gen_ai.request.model": "of-the-body"},
    ),
    situation(
        "chat with a model that searches",
        step("chat.completions.create", **{**CHAT, "model": "gpt-4o-search-preview"}),
        json_reply(bodies.completion()), billed={**CHAT_TOKENS, **units(web_searches=1.0)},
    ),
    situation(
        "chat with more text than is parsed", step("chat.completions.create", **CHAT),
        json_reply(bodies.completion(SENTINEL * 5000)), billed=CHAT_TOKENS,
    ),
    situation(
        "chat without usage", step("chat.completions.create", **CHAT),
        json_reply({**bodies.completion(), "usage": None}), billed=LOST,
    ),
    situation(
        "chat parsed", step("chat.completions.parse", **CHAT, tools=[FUNCTION]),
        json_reply(bodies.completion("{}")), billed=CHAT_TOKENS,
    ),
    situation(
        "chat parsed, of the beta",
        step("beta.chat.completions.parse", **CHAT, response_format=SCHEMA),
        json_reply(bodies.completion("{}")), billed=CHAT_TOKENS,
    ),
    situation(
        "chat of the beta", step("beta.chat.completions.create", **CHAT),
        json_reply(bodies.completion()), billed=CHAT_TOKENS,
    ),
    situation(
        "chat raw", step("chat.completions.with_raw_response.create", **CHAT, reads="parse"),
        json_reply(bodies.completion()), billed=CHAT_TOKENS,
    ),
    *(
        situation(
            f"chat as a streaming response, read by {reads}",
            step("chat.completions.with_streaming_response.create", **CHAT, reads=reads),
            json_reply(bodies.completion()), billed=CHAT_TOKENS,
        )
        for reads in ("parse", "read", "json", "text", "iter_lines", "iter_bytes")
    ),
    situation(
        "chat streamed", step("chat.completions.create", **CHAT, **COUNTED),
        events_reply(*bodies.chunks()),
        billed=CHAT_TOKENS,
        says={
            "gen_ai.request.stream": True,
            "gen_ai.response.id": "chatcmpl-1",
            "gen_ai.response.finish_reasons": ("stop",),
            "openai.response.service_tier": "default",
        },
    ),
    situation(
        "chat streamed without usage", step("chat.completions.create", **CHAT, stream=True),
        events_reply(*bodies.chunks(usage=False)), billed=LOST,
    ),
    situation(
        "chat streamed and closed early",
        step("chat.completions.create", **CHAT, **COUNTED, limit=1),
        events_reply(*bodies.chunks()[:2], silent=True), billed=LOST,
    ),
    situation(
        "chat streamed by the helper",
        step("chat.completions.stream", **CHAT, stream_options={"include_usage": True}),
        events_reply(*bodies.chunks()), billed=CHAT_TOKENS,
    ),
    situation(
        "chat streamed by the beta's helper",
        step("beta.chat.completions.stream", **CHAT, stream_options={"include_usage": True}),
        events_reply(*bodies.chunks()), billed=CHAT_TOKENS,
    ),
    situation(
        "chat by path",
        step("post", path="/chat/completions", body=CHAT, cast_to=object),
        json_reply(bodies.completion()), billed=CHAT_TOKENS,
    ),
    situation(
        "legacy completion", step("completions.create", model="davinci-002", prompt=SENTINEL),
        json_reply(bodies.text_completion()),
        billed=RUN_TOKENS,
        says={
            "gen_ai.operation.name": "text_completion",
            "gen_ai.response.finish_reasons": ("length",),
        },
    ),
    situation(
        "legacy completion streamed",
        step("completions.create", model="davinci-002", prompt=SENTINEL, **COUNTED),
        events_reply(bodies.text_completion(usage=None), bodies.text_completion(choices=[])),
        billed=RUN_TOKENS,
    ),
    situation(
        "embeddings", step("embeddings.create", model="text-embedding-3-small", input=[SENTINEL]),
        json_reply(
            {
                "object": "list",
                "data": [{"object": "embedding", "index": 0, "embedding": [0.5] * 3000}],
                "model": "text-embedding-3-small",
                "usage": {"prompt_tokens": 8, "total_tokens": 8},
            }
        ),
        billed={"gen_ai.usage.input_tokens": 8, "taximeter.usage.source": "reported"},
    ),
    situation(
        "moderation", step("moderations.create", model="omni-moderation-latest", input=SENTINEL),
        json_reply({"id": "modr-1", "model": "omni-moderation-latest", "results": []}),
        billed={}, says={"gen_ai.response.model": "omni-moderation-latest"},
    ),
    situation(
        "decision",
        step("decisions.create", model="gpt-6-luna", input=SENTINEL,
             questions=[{"type": "predicate", "question": SENTINEL}]),
        json_reply({"answers": [], "model": "gpt-6-luna", "usage": bodies.USAGE}), billed=TOKENS,
    ),
]  # fmt: skip

BACKGROUND: Body = {**RESPOND, "background": True}
QUEUED = json_reply(bodies.response("queued", background=True))
DONE = json_reply(bodies.response(background=True))
RETRIEVE = step("responses.retrieve", response_id="resp_1")

RESPONSES = [
    situation(
        "response", step("responses.create", **RESPOND), json_reply(bodies.response()),
        billed=TOKENS,
        says={
            "openai.api.type": "responses",
            "gen_ai.response.id": "resp_1",
            "gen_ai.response.finish_reasons": ("completed",),
            "openai.response.service_tier": "default",
        },
    ),
    situation(
        "response cut off", step("responses.create", **RESPOND),
        json_reply(
            bodies.response("incomplete", incomplete_details={"reason": "max_output_tokens"})
        ),
        billed=TOKENS, says={"gen_ai.response.finish_reasons": ("max_output_tokens",)},
    ),
    situation(
        "response parsed", step("responses.parse", **RESPOND), json_reply(bodies.response()),
        billed=TOKENS,
    ),
    situation(
        "response streamed", step("responses.create", **RESPOND, stream=True),
        events_reply(*bodies.response_events(), named="type"),
        billed=TOKENS, says={"openai.response.service_tier": "default"},
    ),
    situation(
        "response streamed by the helper", step("responses.stream", **RESPOND),
        events_reply(*bodies.response_events(), named="type"), billed=TOKENS,
    ),
    situation(
        "response that searched and computed",
        step("responses.create", **RESPOND, tools=[{"type": "web_search_preview"}]),
        json_reply(
            bodies.response(
                output=[*bodies.SEARCHES, bodies.FILE_SEARCH, bodies.INTERPRETER, bodies.message()],
                tools=[
                    {
                        "type": "code_interpreter",
                        "container": {"type": "auto", "memory_limit": "4g"},
                    }
                ],
                metadata={"long": SENTINEL * 2000},
            )
        ),
        billed={
            **TOKENS,
            **units(web_searches=2.0, file_searches=1.0, container_sessions__4g=1.0),
        },
    ),
    situation(
        "response whose searches are told", step("responses.create", **RESPOND, stream=True),
        events_reply(
            *bodies.response_events(
                tool_usage={
                    "web_search": {"num_requests": 7},
                    "image_gen": {
                        "input_tokens": 0,
                        "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
                        "output_tokens": 0,
                        "total_tokens": 0,
                    },
                }
            ),
            named="type",
        ),
        billed={**TOKENS, **units(web_searches=7.0)},
    ),
    situation(
        "response in the background, polled",
        (step("responses.create", **BACKGROUND), *[RETRIEVE] * 3),
        QUEUED, json_reply(bodies.response("in_progress", background=True)), DONE, DONE,
        billed=TOKENS, says={"gen_ai.response.finish_reasons": ("completed",)},
    ),
    situation(
        "response in the background, streamed at the end",
        (
            step("responses.create", **BACKGROUND),
            step("responses.retrieve", response_id="resp_1", stream=True),
        ),
        QUEUED, events_reply(*bodies.response_events(background=True), named="type"),
        billed=TOKENS,
    ),
    situation(
        "response in the background, its stream resumed",
        (
            step("responses.create", **BACKGROUND, stream=True, limit=1),
            step("responses.retrieve", response_id="resp_1", stream=True, starting_after=0),
        ),
        events_reply(*bodies.response_events(background=True)[:2], named="type", silent=True),
        events_reply(*bodies.response_events(background=True)[1:], named="type"),
        billed=TOKENS,
    ),
    situation(
        "response in the background, cancelled",
        (
            step("responses.create", **BACKGROUND),
            step("responses.cancel", response_id="resp_1"),
        ),
        QUEUED, json_reply(bodies.response("cancelled", background=True)),
        billed=LOST, says={"gen_ai.response.finish_reasons": ("cancelled",)},
    ),
    situation(
        "response in the background, never asked for",
        step("responses.create", **BACKGROUND), QUEUED,
        billed=LOST, says={"gen_ai.response.id": "resp_1"},
    ),
    situation("response only retrieved", RETRIEVE, DONE, billed=()),
    situation(
        "conversation compacted", step("responses.compact", **RESPOND),
        json_reply(
            {
                "id": "resp_2",
                "object": "response.compaction",
                "created_at": bodies.CREATED,
                "output": [],
                "usage": bodies.USAGE,
            }
        ),
        billed=TOKENS, says={"openai.api.type": "responses.compact"},
    ),
    situation(
        "response of the beta", step("beta.responses.create", **RESPOND),
        json_reply(bodies.response()), billed=TOKENS,
    ),
    situation(
        "conversation compacted, of the beta", step("beta.responses.compact", **RESPOND),
        json_reply(
            {
                "id": "resp_2",
                "object": "response.compaction",
                "created_at": bodies.CREATED,
                "output": [],
                "usage": bodies.USAGE,
            }
        ),
        billed=TOKENS,
    ),
]  # fmt: skip

DRAW: Body = {"model": "gpt-image-1", "prompt": SENTINEL}
MEDIA = [
    situation(
        "images by tokens", step("images.generate", **DRAW),
        json_reply(bodies.images(1, bodies.IMAGE_USAGE)), billed=bodies.IMAGE_TOKENS,
    ),
    situation(
        "images by the piece",
        step("images.generate", model="dall-e-3", prompt=SENTINEL, quality="hd", size="1024x1792"),
        json_reply(bodies.images(1)), billed=units(images__hd__1024x1792=1.0),
    ),
    situation(
        "images streamed", step("images.generate", **DRAW, stream=True, partial_images=1),
        events_reply(*bodies.image_events("image_generation"), named="type"),
        billed=bodies.IMAGE_TOKENS,
    ),
    situation(
        "images edited", step("images.edit", **DRAW, image=PICTURE),
        json_reply(bodies.images(1, bodies.IMAGE_USAGE)),
        billed=bodies.IMAGE_TOKENS, says={"gen_ai.request.model": "gpt-image-1"},
    ),
    situation(
        "images edited, streamed", step("images.edit", **DRAW, image=PICTURE, stream=True),
        events_reply(*bodies.image_events("image_edit"), named="type"), billed=bodies.IMAGE_TOKENS,
    ),
    situation(
        "images varied",
        step("images.create_variation", model="dall-e-2", image=PICTURE, n=3, size="256x256"),
        json_reply(bodies.images(3)), billed=units(images__standard__256x256=3.0),
    ),
    situation(
        "speech by characters", step("audio.speech.create", model="tts-1", **SAID),
        Reply(body=b"\xff\xfb" * 20_000, media="audio/mpeg"),
        billed=units(characters=float(len(SENTINEL))),
    ),
    situation(
        "speech by characters, as a streaming response",
        step("audio.speech.with_streaming_response.create", model="tts-1-hd", **SAID,
             reads="iter_bytes"),
        Reply(body=b"\xff\xfb" * 20_000, media="audio/mpeg"),
        billed=units(characters=float(len(SENTINEL))),
    ),
    situation(
        "speech by tokens, in events",
        step("audio.speech.create", model="gpt-4o-mini-tts", **SAID,
             extra_body={"stream_format": "sse"}),
        events_reply(
            {"type": "speech.audio.delta", "audio": "aGk="},
            {"type": "speech.audio.done",
             "usage": {"input_tokens": 14, "output_tokens": 101, "total_tokens": 115}},
        ),
        billed={
            "gen_ai.usage.input_tokens": 14,
            "gen_ai.usage.output_tokens": 101,
            "gen_ai.usage.audio.output_tokens": 101,
            "taximeter.usage.source": "reported",
        },
    ),
    situation(
        "speech by tokens, untold", step("audio.speech.create", model="gpt-4o-mini-tts", **SAID),
        Reply(body=b"\xff\xfb", media="audio/mpeg"), billed=LOST,
    ),
    situation(
        "transcription by tokens",
        step("audio.transcriptions.create", model="gpt-4o-transcribe", file=SOUND),
        json_reply({"text": SENTINEL, "usage": bodies.AUDIO_USAGE}),
        billed=bodies.AUDIO_TOKENS, says={"gen_ai.request.model": "gpt-4o-transcribe"},
    ),
    situation(
        "transcription streamed",
        step("audio.transcriptions.create", model="gpt-4o-transcribe", file=SOUND, stream=True),
        events_reply(
            {"type": "transcript.text.delta", "delta": SENTINEL},
            {"type": "transcript.text.done", "text": SENTINEL, "usage": bodies.AUDIO_USAGE},
            named="type",
        ),
        billed=bodies.AUDIO_TOKENS,
    ),
    situation(
        "transcription by seconds",
        step("audio.transcriptions.create", model="whisper-1", file=SOUND),
        json_reply({"text": SENTINEL, "usage": {"type": "duration", "seconds": 9.0}}),
        billed=units(seconds=9.0),
    ),
    situation(
        "transcription as subtitles",
        step("audio.transcriptions.create", model="whisper-1", file=SOUND, response_format="srt"),
        Reply(body=SENTINEL.encode(), media="text/plain"), billed=LOST,
    ),
    situation(
        "translation with its duration",
        step("audio.translations.create", model="whisper-1", file=SOUND,
             response_format="verbose_json"),
        json_reply({"text": SENTINEL, "language": "english", "duration": 8.5}),
        billed=units(seconds=8.5),
    ),
    situation(
        "translation without it", step("audio.translations.create", model="whisper-1", file=SOUND),
        json_reply({"text": SENTINEL}), billed=LOST,
    ),
    situation(
        "video, polled",
        (
            step("videos.create", model="sora-2", prompt=SENTINEL, seconds="8", size="1280x720"),
            *[step("videos.retrieve", video_id="video_1")] * 2,
        ),
        json_reply(bodies.video("queued")), json_reply(bodies.video("completed")),
        json_reply(bodies.video("completed")),
        billed=units(seconds__1280x720=8.0), says={"gen_ai.operation.name": "video_generation"},
    ),
    situation(
        "video, polled by the helper",
        step("videos.create_and_poll", model="sora-2", prompt=SENTINEL, poll_interval_ms=1),
        json_reply(bodies.video("queued")), json_reply(bodies.video("completed")),
        billed=units(seconds__1280x720=8.0),
    ),
    situation(
        "video, polled by the other helper",
        (
            step("videos.create", model="sora-2", prompt=SENTINEL),
            step("videos.poll", video_id="video_1", poll_interval_ms=1),
        ),
        json_reply(bodies.video("queued")), json_reply(bodies.video("completed")),
        billed=units(seconds__1280x720=8.0),
    ),
    situation(
        "video remixed",
        (
            step("videos.remix", video_id="video_0", prompt=SENTINEL),
            step("videos.retrieve", video_id="video_1"),
        ),
        json_reply(bodies.video("queued")), json_reply(bodies.video("completed")),
        billed=units(seconds__1280x720=8.0),
    ),
    situation(
        "video edited",
        (
            step("videos.edit", video=PICTURE, prompt=SENTINEL),
            step("videos.retrieve", video_id="video_1"),
        ),
        json_reply(bodies.video("queued")), json_reply(bodies.video("completed")),
        billed=units(seconds__1280x720=8.0),
    ),
    situation(
        "video extended",
        (
            step("videos.extend", video=PICTURE, prompt=SENTINEL, seconds="4"),
            step("videos.retrieve", video_id="video_1"),
        ),
        json_reply(bodies.video("queued")), json_reply(bodies.video("completed", seconds="12")),
        billed=units(seconds__1280x720=4.0),
    ),
]  # fmt: skip

REQUIRED: Body = {
    **bodies.run("requires_action"),
    "required_action": {
        "type": "submit_tool_outputs",
        "submit_tool_outputs": {"tool_calls": [CALLED]},
    },
}
TOOL_OUTPUTS: Body = {"tool_outputs": [{"tool_call_id": "call_1", "output": SENTINEL}]}
CONTINUED: tuple[tuple[str, Body], ...] = (
    ("submit_tool_outputs", {"stream": True}),
    ("submit_tool_outputs_stream", {}),
)
RUNS = [
    situation(
        "run, polled",
        (
            step("beta.threads.runs.create", **RUN),
            *[step("beta.threads.runs.retrieve", **RUN_1)] * 2,
        ),
        json_reply(bodies.run("queued")), COMPLETED_RUN, COMPLETED_RUN,
        billed=RUN_TOKENS,
        says={"gen_ai.response.model": "gpt-4o", "gen_ai.operation.name": "invoke_agent"},
    ),
    *(
        situation(
            f"run by {method}", step(f"beta.threads.{method}", **arguments),
            json_reply(bodies.run("queued")), COMPLETED_RUN, billed=RUN_TOKENS,
        )
        for method, arguments in (
            ("runs.create_and_poll", {**RUN, "poll_interval_ms": 1}),
            ("create_and_run_poll", {"assistant_id": "asst_1", "poll_interval_ms": 1}),
        )
    ),
    *(
        situation(
            f"run by {method}", step(f"beta.threads.{method}", **arguments),
            events_reply(*bodies.run_events()), billed=RUN_TOKENS,
        )
        for method, arguments in (
            ("runs.create", {**RUN, "stream": True}),
            ("create_and_run", {"assistant_id": "asst_1", "stream": True}),
            ("runs.stream", RUN),
            ("create_and_run_stream", {"assistant_id": "asst_1"}),
            ("runs.create_and_stream", RUN),
        )
    ),
    situation(
        "run polled by the helper, with tools",
        (
            step("beta.threads.runs.create", **RUN),
            step("beta.threads.runs.poll", **RUN_1, poll_interval_ms=1),
            step("beta.threads.runs.submit_tool_outputs_and_poll", **RUN_1, **TOOL_OUTPUTS,
                 poll_interval_ms=1),
        ),
        json_reply(bodies.run("queued")), json_reply(REQUIRED), json_reply(bodies.run("queued")),
        COMPLETED_RUN, billed=RUN_TOKENS,
    ),
    *(
        situation(
            f"run continued by {method}",
            (
                step("beta.threads.runs.create", **RUN),
                step(f"beta.threads.runs.{method}", **RUN_1, **TOOL_OUTPUTS, **stream),
            ),
            json_reply(REQUIRED), events_reply(*bodies.run_events()), billed=RUN_TOKENS,
        )
        for method, stream in CONTINUED
    ),
    situation(
        "run cancelled",
        (
            step("beta.threads.runs.create", **RUN),
            step("beta.threads.runs.cancel", **RUN_1),
            step("beta.threads.runs.retrieve", **RUN_1),
        ),
        json_reply(bodies.run("queued")), json_reply(bodies.run("cancelling")),
        json_reply(bodies.run("cancelled", usage=True)),
        billed=RUN_TOKENS, says={"gen_ai.response.finish_reasons": ("cancelled",)},
    ),
]  # fmt: skip

BATCH_USAGE: Body = {**bodies.USAGE, "input_tokens_details": {"cached_tokens": 60}}
ENDED_BATCH: Body = {
    "model": "gpt-5-2025-08-07",
    "completed_at": bodies.CREATED + 600,
    "request_counts": {"completed": 2, "failed": 0, "total": 2},
}
COMPLETED_BATCH = json_reply(bodies.batch("completed", usage=BATCH_USAGE, **ENDED_BATCH))
NEW_BATCH = step(
    "batches.create",
    completion_window="24h",
    endpoint="/v1/chat/completions",
    input_file_id="file_1",
)
ASK_BATCH = step("batches.retrieve", batch_id="batch_1")
TUNE = step("fine_tuning.jobs.create", model="gpt-4.1-mini-2025-04-14", training_file="file_1")
EVAL_RUN: Body = {
    "eval_id": "eval_1",
    "data_source": {"type": "jsonl", "source": {"type": "file_id", "id": "file_1"}},
}
JOBS = [
    situation(
        "batch", (NEW_BATCH, ASK_BATCH, ASK_BATCH, ASK_BATCH),
        json_reply(bodies.batch("validating")),
        json_reply(bodies.batch("in_progress", usage=BATCH_USAGE)),
        COMPLETED_BATCH, COMPLETED_BATCH,
        billed=TURN_TOKENS,
        says={
            "taximeter.batch": True,
            "openai.api.type": "chat.completions",
            "gen_ai.request.model": "gpt-5-2025-08-07",
            "gen_ai.response.id": "batch_1",
            "gen_ai.response.finish_reasons": ("completed",),
        },
    ),
    situation(
        "batch cancelled after some work", (NEW_BATCH, step("batches.cancel", batch_id="batch_1")),
        json_reply(bodies.batch("validating")),
        json_reply(bodies.batch("cancelled", usage=BATCH_USAGE, model="gpt-5")),
        billed=TURN_TOKENS,
    ),
    situation(
        "batch whose usage is untold", ASK_BATCH,
        json_reply(bodies.batch("completed", **ENDED_BATCH)), billed=LOST,
    ),
    situation(
        "batch that failed", (NEW_BATCH, ASK_BATCH), json_reply(bodies.batch("validating")),
        json_reply(bodies.batch("failed")), billed=(),
    ),
    situation(
        "fine-tuning", (TUNE, step("fine_tuning.jobs.retrieve", fine_tuning_job_id="ftjob-1")),
        json_reply(bodies.tuning("ftjob-1", "queued")),
        json_reply(bodies.tuning("ftjob-1", "succeeded", trained_tokens=5000)),
        billed=units(training_tokens=5000.0),
        says={"gen_ai.request.model": "gpt-4.1-mini-2025-04-14"},
    ),
    situation(
        "evaluation with two models",
        (
            step("evals.runs.create", **EVAL_RUN),
            step("evals.runs.retrieve", eval_id="eval_1", run_id="evalrun_1"),
        ),
        json_reply(bodies.evaluation("queued")),
        json_reply(
            bodies.evaluation(
                "completed", bodies.MODEL_USAGE, {**bodies.MODEL_USAGE, "model_name": "gpt-4o"}
            )
        ),
        billed=({**RUN_TOKENS, "gen_ai.usage.cache_read.input_tokens": 2},) * 2,
        says={"gen_ai.request.model": "gpt-5-2025-08-07"},
    ),
    situation(
        "graders run",
        step("fine_tuning.alpha.graders.run", model_sample=SENTINEL,
             grader={"type": "string_check", "name": "g", "input": "a", "reference": "a",
                     "operation": "eq"}),
        json_reply(bodies.GRADED), billed=LOST,
    ),
    situation(
        "container", step("containers.create", name=SENTINEL, memory_limit="4g"),
        json_reply(bodies.CONTAINER), billed=units(container_sessions__4g=1.0),
    ),
    situation(
        "container that a response uses again",
        (
            step("containers.create", name=SENTINEL),
            step("responses.create", **RESPOND),
        ),
        json_reply({**bodies.CONTAINER, "id": "cntr_used"}),
        json_reply(
            bodies.response(output=[{**bodies.INTERPRETER, "container_id": "cntr_used"}])
        ),
        billed=(units(container_sessions__4g=1.0), TOKENS),
    ),
    situation(
        "turn of an agent",
        (
            step("beta.agents.sessions.turns.retrieve", session_id="session_1", turn_id="turn_1"),
        )
        * 2,
        json_reply(TURN), json_reply(TURN), billed=TURN_TOKENS,
    ),
    situation(
        "turns of an agent, streamed",
        step("beta.agents.sessions.events.stream", session_id="session_1"),
        events_reply(
            *(
                {
                    "type": "agent.session.turn.completed",
                    "event_id": "event_1",
                    "session_id": "session_1",
                    "turn_id": id_,
                    "turn": {**TURN, "id": id_},
                }
                for id_ in ("turn_2", "turn_2", "turn_3")
            ),
            named="type",
        ),
        billed=(TURN_TOKENS, TURN_TOKENS),
    ),
]  # fmt: skip

STATUSES = {
    400: "BadRequestError",
    401: "AuthenticationError",
    403: "PermissionDeniedError",
    404: "NotFoundError",
    409: "ConflictError",
    422: "UnprocessableEntityError",
    429: "RateLimitError",
    500: "InternalServerError",
    503: "InternalServerError",
}
FAILURES = [
    *(
        situation(
            f"{status}", step("chat.completions.create", **CHAT),
            json_reply(bodies.ERROR, status=status),
            billed={},
            says={
                "error.type": error,
                "http.response.status_code": status,
                "taximeter.attempts": 1,
                "taximeter.request.id": "req_00000001",
            },
        )
        for status, error in STATUSES.items()
    ),
    situation(
        "429 to a stream", step("chat.completions.create", **CHAT, **COUNTED),
        json_reply(bodies.ERROR, status=429), billed={}, says={"error.type": "RateLimitError"},
    ),
    situation(
        "429, then success", step("chat.completions.create", **CHAT),
        json_reply(bodies.ERROR, status=429, headers={"retry-after-ms": "1"}),
        json_reply(bodies.completion()),
        billed=CHAT_TOKENS,
        says={"taximeter.attempts": 2, "http.response.status_code": 200},
        options={"max_retries": 2},
    ),
    situation(
        "500 until the end", step("chat.completions.create", **CHAT),
        *[json_reply(bodies.ERROR, status=500, headers={"retry-after-ms": "1"})] * 3,
        billed={}, says={"taximeter.attempts": 3, "http.response.status_code": 500},
        options={"max_retries": 2},
    ),
    situation(
        "no answer in time", step("chat.completions.create", **CHAT), Reply(silent=True),
        billed=LOST, says={"error.type": "APITimeoutError", "taximeter.attempts": 1},
        options={"timeout": 0.3},
    ),
    situation(
        "connection broken in a body", step("chat.completions.create", **CHAT),
        json_reply(bodies.completion(), cut=True),
        billed=LOST, says={"error.type": "APIConnectionError"},
    ),
    situation(
        "connection broken in a stream", step("chat.completions.create", **CHAT, **COUNTED),
        events_reply(*bodies.chunks()[:2], cut=True),
        billed=LOST,
        says={
            "error.type": "RemoteProtocolError",
            "http.response.status_code": 200,
            "gen_ai.response.id": "chatcmpl-1",
        },
    ),
    situation(
        "error within a stream", step("chat.completions.create", **CHAT, **COUNTED),
        events_reply(bodies.chunks()[0], bodies.ERROR),
        billed=LOST, says={"error.type": "APIError"},
    ),
    situation(
        "response that failed", step("responses.create", **RESPOND, stream=True),
        events_reply(
            bodies.response_events()[0],
            {
                "type": "response.failed",
                "sequence_number": 1,
                "response": bodies.response(
                    "failed", error={"code": "server_error", "message": SENTINEL}
                ),
            },
            named="type",
        ),
        billed=LOST, says={"gen_ai.response.finish_reasons": ("failed",)},
    ),
    situation(
        "answer that is no JSON", step("chat.completions.create", **CHAT),
        Reply(body=b"<html>", media="text/html"), billed=LOST,
    ),
    situation(
        "request that can't be written",
        step("chat.completions.create", model=object(), messages=[]),
        billed={"taximeter.usage.source": "none"}, says={"error.type": "TypeError"},
    ),
    situation(
        "poll that fails, then succeeds",
        (step("responses.create", **BACKGROUND), RETRIEVE, RETRIEVE),
        QUEUED, json_reply(bodies.ERROR, status=500), DONE, billed=TOKENS,
    ),
]  # fmt: skip

SITUATIONS = [*CHATS, *RESPONSES, *MEDIA, *RUNS, *JOBS, *FAILURES]
