"""Jobs that bill when they end: batches, evaluations, fine-tunings and the turns of agents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from taximeter.answer import AttributeValue, usage_attributes
from taximeter.endpoints import Endpoint, endpoint_at

Job = Mapping[str, Any]
Attributes = dict[str, AttributeValue]

_ENDED = {"completed", "succeeded", "failed", "cancelled", "canceled", "expired"}
_ENDINGS = ("completed_at", "finished_at", "cancelled_at", "expired_at", "failed_at")
_TUNING = Endpoint("fine_tuning", "fine_tuning.jobs")
_EVALUATION = Endpoint("evaluation", "evals.runs")
_TURN = Endpoint("invoke_agent", "agents.sessions.turns")


class Work(NamedTuple):
    """What one job did with one model."""

    id: str
    started_s: int
    ended_s: int
    attributes: Attributes
    has_usage: bool = True


def ids_of(job: Job) -> tuple[str, ...]:
    """Give the ids under which the creation of a job may be remembered."""
    return tuple(str(job[key]) for key in ("id", "session_id") if job.get(key))


def model_of(job: Job) -> Attributes:
    """Give the model of an agent's session, which its turns do not name."""
    agent = job.get("agent")
    model = agent.get("model") if isinstance(agent, dict) else None
    return {"gen_ai.request.model": model} if isinstance(model, str) else {}


def works_of(job: Job) -> Iterator[Work]:
    """Yield what a job that has ended did; nothing when it did nothing."""
    read = _READ.get(str(job.get("object")))
    if read is not None and job.get("status") in _ENDED:
        yield from read(job)


def _batch(job: Job) -> Iterator[Work]:
    endpoint = endpoint_at(str(job.get("endpoint"))) or Endpoint("batch", "batches")
    usage = job.get("usage")
    counts = usage_attributes(usage) if isinstance(usage, dict) else {}
    # Batches from before September 2025, and other servers', tell no usage of work that was done.
    done = bool((job.get("request_counts") or {}).get("completed"))
    if any(counts.values()) or (done and not counts):
        attributes: Attributes = {**counts, "taximeter.batch": True}
        yield _work(job, endpoint, job.get("model"), attributes)._replace(has_usage=bool(counts))


def _fine_tuning(job: Job) -> Iterator[Work]:
    if trained := job.get("trained_tokens"):
        yield _work(
            job, _TUNING, job.get("model"), {"taximeter.meter.training_tokens": float(trained)}
        )


def _evaluation(job: Job) -> Iterator[Work]:
    for usage in job.get("per_model_usage") or ():
        model = usage.get("model_name")
        details = {"cached_tokens": usage.get("cached_tokens")}
        counts = usage_attributes({**usage, "prompt_tokens_details": details})
        work = _work(job, _EVALUATION, model, counts)
        yield work._replace(
            id=f"{work.id}/{model}",
            attributes={**work.attributes, "gen_ai.response.id": f"{work.id}/{model}"},
        )


def _turn(job: Job) -> Iterator[Work]:
    if isinstance(usage := job.get("usage"), dict):
        yield _work(job, _TURN, None, usage_attributes(usage))


def _work(job: Job, endpoint: Endpoint, model: object, counts: Attributes) -> Work:
    attributes: Attributes = {
        "gen_ai.operation.name": endpoint.operation,
        "openai.api.type": endpoint.api_type,
        "gen_ai.response.id": str(job["id"]),
        "gen_ai.response.finish_reasons": (str(job["status"]),),
        **counts,
    }
    name = model if isinstance(model, str) else ""
    if name:
        attributes |= {"gen_ai.request.model": name, "gen_ai.response.model": name}
    # Also another process that looks at the job later gives it this place in time.
    started = int(job["created_at"])
    moments: tuple[Any, ...] = tuple(map(job.get, _ENDINGS))
    ended = int(next(filter(None, moments), started))
    return Work(str(job["id"]), started, ended, attributes)


_READ = {
    "batch": _batch,
    "fine_tuning.job": _fine_tuning,
    "eval.run": _evaluation,
    "agent.session.turn": _turn,
}
