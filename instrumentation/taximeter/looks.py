"""Later looks at work begun before: background responses and runs, and jobs of hours."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from opentelemetry.context import get_current
from opentelemetry.trace import SpanKind, Tracer, get_current_span

from taximeter.answer import Answer, AttributeValue
from taximeter.attribution import Attribution
from taximeter.begin import parameters_of
from taximeter.bounded import Bounded
from taximeter.call import Call, going_on
from taximeter.jobs import Job, Work, ids_of, model_of, works_of
from taximeter.request import server_of

if TYPE_CHECKING:
    from taximeter.meter import Meter
    from taximeter.spans import OwnTracer

Tags = Mapping[str, AttributeValue]

_JOBS = re.compile(
    r"(?:.*/)?(?:batches|fine_tuning/jobs|evals/[^/]+/runs|agents/sessions)"
    r"(?:/[^/]+(?:/(?:cancel|events|turns/[^/]+))?)?"
)
_reported: Bounded[str, bool] = Bounded(4096)
_tags_of: Bounded[str, Tags] = Bounded(4096)


def look(meter: Meter, client: Any, options: Any) -> Call | None:
    """Read the answer to a request that bills nothing, if it may tell of work that does."""
    path = options.url.partition("?")[0].strip("/")
    if going_on and (work := _work_at(path)) is not None:
        return Look(work)
    if not _JOBS.fullmatch(path):
        return None
    attribution = Attribution(meter.settings, parameters_of(options), get_current_span())
    begins = options.method.lower() == "post"
    job = JobLook(meter.tracer(), server_of(client, options.url), attribution, begins=begins)
    job.spends = begins and not path.endswith("/cancel")
    return job


def _work_at(path: str) -> Call | None:
    return next(filter(None, map(going_on.get, path.split("/"))), None)


class Look(Call):
    """Ends the span of the work that it finds finished; has none of its own."""

    __slots__ = ("_work",)

    def __init__(self, work: Call) -> None:
        super().__init__(None, work.answer.afresh(), None, {}, None)
        self._work = work
        self.spends = False

    def end(self) -> None:
        work, answer = self._work, self.answer
        # An unread stream of it may end long after another call came to go by this id.
        if answer.finished and answer.id == work.answer.id and going_on.drop(answer.id, work):
            work.answer = answer
            work.body_ended()
            work.close()


class JobLook(Call):
    """Reports each finished job once, with the tags of its creation where this process knows it."""

    __slots__ = ("_begins", "_of_look", "_server", "_tracer")

    def __init__(
        self,
        tracer: Tracer | OwnTracer,
        server: Tags,
        attribution: Attribution,
        *,
        begins: bool,
    ) -> None:
        super().__init__(None, JobAnswer(self._seen), attribution, {}, None)
        self._of_look = attribution
        self._tracer = tracer
        self._server = server
        self._begins = begins

    def end(self) -> None:
        """Leave it at what `_seen` has reported: a stream of many turns may last for days."""

    def _seen(self, job: Job) -> None:
        tags = self._of_look.attributes()
        if self._begins and (id_ := job.get("id")) and id_ not in _tags_of:
            _tags_of.put(id_, {**tags, **model_of(job)})
        for work in works_of(job):
            if work.id not in _reported:
                _reported.put(work.id, True)
                self._report(work, next(filter(None, map(_tags_of.get, ids_of(job))), tags))

    def _report(self, work: Work, tags: Tags) -> None:
        attributes: dict[str, AttributeValue] = {
            **tags,
            **work.attributes,
            **self._server,
            "taximeter.usage.source": "reported" if work.has_usage else "lost",
        }
        operation = work.attributes["gen_ai.operation.name"]
        model = attributes.get("gen_ai.request.model")
        span = self._tracer.start_span(
            f"{operation} {model}" if model else str(operation),
            context=get_current(),
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=work.started_s * 1_000_000_000,
        )
        span.end(work.ended_s * 1_000_000_000)


class JobAnswer(Answer):
    """Shows each job that an answer tells of."""

    __slots__ = ("_show",)

    def __init__(self, show: Callable[[Job], None]) -> None:
        super().__init__()
        self._show = show

    def take(self, event: Job) -> None:
        turn = event.get("turn")
        if not isinstance(turn, dict):
            self._show(event)
            return
        self._show({**turn, "usage": turn.get("usage") or event.get("usage")})

    def read(self, content: bytes | bytearray, *, whole: bool = True) -> Any:
        return self._parse(content) if whole else None
