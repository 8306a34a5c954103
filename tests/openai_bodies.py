"""Answers as OpenAI gives them, with every count that it bills."""

from __future__ import annotations

from typing import Any

SENTINEL = "the-secret-of-the-app"
CREATED = 1_790_000_000

Body = dict[str, Any]

CHAT_USAGE = {
    "prompt_tokens": 1000,
    "completion_tokens": 50,
    "total_tokens": 1050,
    "prompt_tokens_details": {"cached_tokens": 400, "cache_write_tokens": 100, "audio_tokens": 20},
    "completion_tokens_details": {"reasoning_tokens": 30, "audio_tokens": 7},
}
CHAT_TOKENS = {
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.cache_read.input_tokens": 400,
    "gen_ai.usage.cache_write.input_tokens": 100,
    "gen_ai.usage.audio.input_tokens": 20,
    "gen_ai.usage.output_tokens": 50,
    "gen_ai.usage.reasoning.output_tokens": 30,
    "gen_ai.usage.audio.output_tokens": 7,
    "taximeter.usage.source": "reported",
}
USAGE = {
    "input_tokens": 90,
    "input_tokens_details": {"cached_tokens": 60, "cache_write_tokens": 5},
    "output_tokens": 9,
    "output_tokens_details": {"reasoning_tokens": 4},
    "total_tokens": 99,
}
TOKENS = {
    "gen_ai.usage.input_tokens": 90,
    "gen_ai.usage.cache_read.input_tokens": 60,
    "gen_ai.usage.cache_write.input_tokens": 5,
    "gen_ai.usage.output_tokens": 9,
    "gen_ai.usage.reasoning.output_tokens": 4,
    "taximeter.usage.source": "reported",
}
LOST = {"taximeter.usage.source": "lost"}
ERROR = {"error": {"message": SENTINEL, "type": "server_error", "param": None, "code": "odd"}}


def units(**counts: float) -> Body:
    """Name meters; a dot of a name is written as two underscores."""
    named = {f"taximeter.meter.{name.replace('__', '.')}": n for name, n in counts.items()}
    return {**named, "taximeter.usage.source": "reported"}


def completion(*texts: str, **message: Any) -> Body:
    choices = [
        {
            "index": index,
            "message": {"role": "assistant", "content": text, "refusal": None, **message},
            "logprobs": None,
            "finish_reason": "tool_calls" if "tool_calls" in message else "stop",
        }
        for index, text in enumerate(texts or (SENTINEL,))
    ]
    return {**CHAT_HEAD, "object": "chat.completion", "choices": choices, "usage": CHAT_USAGE}


CHAT_HEAD: Body = {
    "id": "chatcmpl-1",
    "created": CREATED,
    "model": "gpt-5-2025-08-07",
    "service_tier": "default",
}


def chunks(*, usage: bool = True) -> list[Body]:
    head = {**CHAT_HEAD, "object": "chat.completion.chunk", **({"usage": None} if usage else {})}

    def chunk(delta: Body, finish: str | None = None) -> Body:
        return {**head, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}

    said = [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": SENTINEL}),
        chunk({}, "stop"),
    ]
    return [*said, {**head, "choices": [], "usage": CHAT_USAGE}] if usage else said


def text_completion(**fields: Any) -> Body:
    choice = {"index": 0, "text": SENTINEL, "logprobs": None, "finish_reason": "length"}
    body = {"id": "cmpl-1", "object": "text_completion", "created": CREATED, "model": "davinci-002"}
    usage = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    return {**body, "choices": [choice], "usage": usage, **fields}


def response(status: str = "completed", **fields: Any) -> Body:
    done = status in {"completed", "incomplete"}
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": CREATED,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "model": "gpt-5-2025-08-07",
        "output": [message()] if done else [],
        "parallel_tool_calls": True,
        "service_tier": "default" if done else "auto",
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": USAGE if done else None,
        "metadata": {},
        **fields,
    }


def message() -> Body:
    text = {"type": "output_text", "text": SENTINEL, "annotations": []}
    return {
        "id": "msg_1",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [text],
    }


def response_events(**fields: Any) -> list[Body]:
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": "", "annotations": []}
    item = {**message(), "status": "in_progress", "content": []}
    events: list[Body] = [
        {"type": "response.created", "response": response("in_progress", **fields)},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **place, "part": part},
        {"type": "response.output_text.delta", **place, "delta": SENTINEL, "logprobs": []},
        {"type": "response.output_text.done", **place, "text": SENTINEL, "logprobs": []},
        {"type": "response.completed", "response": response(**fields)},
    ]
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


SEARCHES = [
    {
        "id": f"ws_{kind}",
        "type": "web_search_call",
        "status": "completed",
        "action": {"type": kind, **rest},
    }
    for kind, rest in (
        ("search", {"query": SENTINEL}),
        ("open_page", {"url": "https://example.com"}),
        ("search", {"query": SENTINEL}),
    )
]
FILE_SEARCH = {
    "id": "fs_1",
    "type": "file_search_call",
    "status": "completed",
    "queries": [SENTINEL],
    "results": None,
}
INTERPRETER = {
    "id": "ci_1",
    "type": "code_interpreter_call",
    "status": "completed",
    "code": SENTINEL,
    "container_id": "cntr_of_the_response",
    "outputs": None,
}


def images(count: int, usage: Body | None = None) -> Body:
    data = [{"b64_json": "aGVsbG8=" * 4000} for _ in range(count)]
    return {"created": CREATED, "data": data, **({"usage": usage} if usage else {})}


IMAGE_USAGE = {
    "input_tokens": 40,
    "input_tokens_details": {"image_tokens": 30, "text_tokens": 10},
    "output_tokens": 4160,
    "total_tokens": 4200,
}
IMAGE_TOKENS = {
    "gen_ai.usage.input_tokens": 40,
    "gen_ai.usage.image.input_tokens": 30,
    "gen_ai.usage.output_tokens": 4160,
    "gen_ai.usage.image.output_tokens": 4160,
    "taximeter.usage.source": "reported",
}


def image_events(kind: str) -> list[Body]:
    looks = {
        "b64_json": "aGVsbG8=" * 4000,
        "background": "opaque",
        "created_at": CREATED,
        "output_format": "png",
        "quality": "high",
        "size": "1024x1024",
    }
    return [
        {"type": f"{kind}.partial_image", "partial_image_index": 0, **looks},
        {"type": f"{kind}.completed", **looks, "usage": IMAGE_USAGE},
    ]


AUDIO_USAGE = {
    "type": "tokens",
    "input_tokens": 70,
    "input_token_details": {"audio_tokens": 60, "text_tokens": 10},
    "output_tokens": 8,
    "total_tokens": 78,
}
AUDIO_TOKENS = {
    "gen_ai.usage.input_tokens": 70,
    "gen_ai.usage.audio.input_tokens": 60,
    "gen_ai.usage.output_tokens": 8,
    "taximeter.usage.source": "reported",
}


def run(status: str, *, id_: str = "run_1", usage: bool = False) -> Body:
    counts = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
    return {
        "id": id_,
        "object": "thread.run",
        "created_at": CREATED,
        "assistant_id": "asst_1",
        "thread_id": "thread_1",
        "status": status,
        "model": "gpt-4o",
        "instructions": SENTINEL,
        "parallel_tool_calls": True,
        "tools": [],
        "metadata": {},
        "usage": counts if usage else None,
    }


RUN_TOKENS = {
    "gen_ai.usage.input_tokens": 7,
    "gen_ai.usage.output_tokens": 3,
    "taximeter.usage.source": "reported",
}


def run_events() -> list[Body]:
    step = {
        "id": "step_1",
        "object": "thread.run.step",
        "created_at": CREATED,
        "assistant_id": "asst_1",
        "thread_id": "thread_1",
        "run_id": "run_1",
        "status": "completed",
        "type": "message_creation",
        "step_details": {
            "type": "message_creation",
            "message_creation": {"message_id": "msg_1"},
        },
        "usage": {"prompt_tokens": 99, "completion_tokens": 99, "total_tokens": 198},
    }
    return [
        {"event": "thread.run.created", "data": run("queued")},
        {"event": "thread.run.in_progress", "data": run("in_progress")},
        {"event": "thread.run.step.completed", "data": step},
        {"event": "thread.run.completed", "data": run("completed", usage=True)},
        {"event": "thread.run.step.completed", "data": step},
    ]


def video(status: str, *, seconds: str = "8", id_: str = "video_1") -> Body:
    return {
        "id": id_,
        "object": "video",
        "created_at": CREATED,
        "model": "sora-2",
        "progress": 100 if status == "completed" else 0,
        "seconds": seconds,
        "size": "1280x720",
        "status": status,
        "prompt": SENTINEL,
    }


def batch(status: str, **fields: Any) -> Body:
    return {
        "id": "batch_1",
        "object": "batch",
        "created_at": CREATED,
        "completion_window": "24h",
        "endpoint": "/v1/chat/completions",
        "input_file_id": "file_1",
        "status": status,
        **fields,
    }


def tuning(id_: str, status: str, **fields: Any) -> Body:
    return {
        "id": id_,
        "object": "fine_tuning.job",
        "created_at": CREATED,
        "hyperparameters": {"n_epochs": 1},
        "model": "gpt-4.1-mini-2025-04-14",
        "organization_id": "org-demo",
        "result_files": [],
        "seed": 1,
        "status": status,
        "training_file": "file_1",
        **fields,
    }


def evaluation(status: str, *usages: Body) -> Body:
    return {
        "id": "evalrun_1",
        "object": "eval.run",
        "created_at": CREATED,
        "eval_id": "eval_1",
        "status": status,
        "model": "gpt-5",
        "name": SENTINEL,
        "report_url": "https://example.com",
        "data_source": {"type": "jsonl", "source": {"type": "file_id", "id": "file_1"}},
        "error": {"code": "", "message": ""},
        "per_model_usage": list(usages),
        "per_testing_criteria_results": [],
        "result_counts": {"errored": 0, "failed": 0, "passed": 1, "total": 1},
    }


MODEL_USAGE = {
    "model_name": "gpt-5-2025-08-07",
    "invocation_count": 1,
    "prompt_tokens": 7,
    "completion_tokens": 3,
    "cached_tokens": 2,
    "total_tokens": 10,
}
CONTAINER = {
    "id": "cntr_made",
    "object": "container",
    "created_at": CREATED,
    "name": SENTINEL,
    "status": "running",
    "memory_limit": "4g",
}
GRADED = {
    "reward": 1.0,
    "sub_rewards": {},
    "model_grader_token_usage_per_model": {},
    "metadata": {
        "name": SENTINEL,
        "type": "string_check",
        "execution_time": 0.1,
        "scores": {},
        "token_usage": None,
        "sampled_model_name": None,
        "errors": dict.fromkeys(
            (
                "formula_parse_error",
                "invalid_variable_error",
                "model_grader_parse_error",
                "model_grader_refusal_error",
                "model_grader_server_error",
                "other_error",
                "python_grader_runtime_error",
                "python_grader_server_error",
                "sample_parse_error",
                "truncated_observation_error",
                "unresponsive_reward_error",
            ),
            False,
        ),
    },
}
