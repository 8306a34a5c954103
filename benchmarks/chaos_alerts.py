"""Kill the service with -9 while it alerts, at every step and at random; count what arrived.

    ROUNDS=500 python benchmarks/chaos_alerts.py

Each round sets one more budget that is crossed at once and starts the service on the same folder,
until it kills itself: before or after a step, or after a random time. Its channels are stand-ins
on loopback that misbehave. In the end every channel must have been told of every budget: readable
and idempotent channels once, the others again only where nobody can know, and labelled. Exits
with 1 when something is amiss, or a step was reached too seldom to tell.
"""

from __future__ import annotations

import email.policy
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.utils import format_datetime
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parent.parent / "tests"))

from chaos import body
from service import HEADERS, HTTP, answers

from receivers import Answer, Mailbox, Posted, Receiver, SlackApi, listening, mail_server
from taximeter_alerts.message import REPEATED
from taximeter_api.demo.processes import free_port

ROUNDS = int(os.environ.get("ROUNDS", "60"))
DICE = random.Random(11)
LEASE_S = 1.0
LONGEST_ROUND_S = 8
LEAST_KILLS = ROUNDS // 25  # at each step
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STEPS = (
    "before an alert is noted",
    "after an alert is noted",
    "before a delivery is claimed",
    "after a delivery is claimed",
    "after a message was sent",
    "after a delivery is finished",
    "before a thread is noted",
    "after a thread is noted",
)
KINDS = {
    "slack": "plain webhook",
    "teams": "plain webhook",
    "mail": "plain, by SMTP",
    "bot": "readable",
    "hook": "idempotent",
    "pager": "idempotent",
}


class Misbehaving:
    """Answers well in seven of ten cases."""

    def next_answer(self, _posted: Posted) -> Answer:
        soon = format_datetime(datetime.now(UTC) + timedelta(seconds=1), usegmt=True)
        odd = (
            Answer(status=429, headers={"Retry-After": "1"}),
            Answer(status=429, headers={"Retry-After": soon}),
            Answer(status=500),
            Answer(status=503, body=b"<html>no</html>"),
            Answer(status=302, headers={"Location": "http://127.0.0.1:9/"}),
            Answer(cut=True, accepts=True),
            Answer(cut=True, accepts=False),
            Answer(wait_s=0.3),
            Answer(status=DICE.choice((404, 410, 400))),
        )
        return DICE.choice(odd) if DICE.random() < 0.3 else Answer()


class Misbehaved(Misbehaving, Receiver):
    pass


class MisbehavedSlack(Misbehaving, SlackApi):
    pass


class MisbehavedMailbox(Mailbox):
    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if DICE.random() < 0.3:
            self.answers.append(DICE.choice(("451 later", "cut", "554 no")))
        return await super().handle_DATA(server, session, envelope)


def main() -> int:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        receivers = {
            name: MisbehavedSlack() if name == "bot" else Misbehaved()
            for name in KINDS
            if name != "mail"
        }
        for one in receivers.values():
            stack.enter_context(listening(one))
        mailbox = stack.enter_context(mail_server(MisbehavedMailbox()))
        set_up(folder, receivers, mailbox.port)
        kills: Counter[str] = Counter()
        for number in range(ROUNDS):
            add_budget(folder, number)
            step = STEPS[number // 2 % len(STEPS)] if number % 2 else "at random"
            kills[run(folder, step, seed=number == 0)] += 1
        for one in receivers.values():
            one.next_answer = lambda _posted: Answer()  # type: ignore[method-assign]
        mailbox.handle_DATA = lambda *some: Mailbox.handle_DATA(mailbox, *some)  # type: ignore[method-assign]
        run(folder, "", until=lambda: told_all(receivers, mailbox))
        return judged(receivers, mailbox, kills)


def set_up(folder: Path, receivers: Mapping[str, Receiver], mail_port: int) -> None:
    urls = {name: one.url for name, one in receivers.items()}
    (folder / "channels.yaml").write_text(
        f"""channels:
  - {{name: slack, kind: slack, url: {urls["slack"]}/hook, per_minute: 6000}}
  - {{name: teams, kind: teams, url: {urls["teams"]}/hook, per_minute: 6000}}
  - {{name: bot, kind: slack_bot, token: t, channel: C1, api: {urls["bot"]}/, per_minute: 6000}}
  - {{name: hook, kind: webhook, url: {urls["hook"]}/x, secret: {SECRET}, per_minute: 6000}}
  - {{name: pager, kind: pagerduty, routing_key: R, url: {urls["pager"]}, per_minute: 6000}}
  - name: mail
    kind: email
    host: 127.0.0.1
    port: {mail_port}
    sender: meter@example.com
    to: [team@example.com]
    tls: none
    per_minute: 6000
"""
    )
    (folder / "budgets.yaml").write_text("budgets:\n")


def add_budget(folder: Path, number: int) -> None:
    with (folder / "budgets.yaml").open("a") as file:
        channels = ", ".join(KINDS)
        file.write(
            f"  - {{name: Budget {number:03}, amount: 0.01, thresholds: [100], forecast: false, "
            f"channels: [{channels}]}}\n"
        )


def run(
    folder: Path, step: str, *, seed: bool = False, until: Callable[[], bool] | None = None
) -> str:
    """Run the service until it is dead; return when it was killed."""
    ports = (free_port(), free_port())
    # A round has one new alert and several deliveries of it.
    nth = 1 if step in STEPS[:2] else DICE.randrange(1, 4)
    settings = {
        "DATA_DIR": folder / "data",
        "PORT": ports[0],
        "OTLP_PORT": ports[1],
        "BUDGETS": folder / "budgets.yaml",
        "CHANNELS": folder / "channels.yaml",
        "TICK_SECONDS": "0.2",
        "LOG_LEVEL": "error",
    }
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(
            [sys.executable, __file__, "--serve", step, str(nth)],
            env={**os.environ, **{f"TAXIMETER_SERVER_{k}": str(v) for k, v in settings.items()}},
            stdout=log,
            stderr=log,
        )
    deadline = time.monotonic() + (LONGEST_ROUND_S if until is None else 600)
    while process.poll() is None and not answers(f"http://127.0.0.1:{ports[0]}/readyz"):
        time.sleep(0.02)
    if seed:
        spent = {f"chatcmpl-{one}": 4_000 for one in range(20)}
        HTTP.request(
            "POST", f"http://127.0.0.1:{ports[1]}/v1/traces", body=body(spent), headers=HEADERS
        )
    if step == "at random":
        deadline = time.monotonic() + DICE.uniform(0.1, 2.5)
    while process.poll() is None and time.monotonic() < deadline:
        if until is not None and until():
            break
        time.sleep(0.02)
    reached = process.poll() is not None
    process.send_signal(signal.SIGTERM if until else signal.SIGKILL)
    process.wait()
    return step if reached else "at random"


def serve(step: str, nth: int) -> None:
    """Serve as always, but die at the n-th time that a step comes."""
    from taximeter_alerts import outbox
    from taximeter_alerts.state import State, deliveries
    from taximeter_alerts.state.answers import Threads
    from taximeter_api.serve import serve as serve_on
    from taximeter_collector.settings import read_settings

    deliveries.LEASE = timedelta(seconds=LEASE_S)
    outbox.FIRST_RETRY_S = 0.2
    outbox.LAST_RETRY_S = 2.0
    seen: Counter[str] = Counter()
    counting = threading.Lock()

    def at(name: str) -> None:
        with counting:
            seen[name] += 1
            if name == step and seen[name] == nth:
                os.kill(os.getpid(), signal.SIGKILL)

    def around(owner: Any, method: str, before: str, after: str) -> None:
        function = getattr(owner, method)

        def counted(*args: Any, **kwargs: Any) -> Any:
            at(before)
            result = function(*args, **kwargs)
            at(after)
            return result

        setattr(owner, method, counted)

    around(State, "add", STEPS[0], STEPS[1])
    around(deliveries.Deliveries, "claim", STEPS[2], STEPS[3])
    around(deliveries.Deliveries, "finish", STEPS[4], STEPS[5])
    around(Threads, "keep", STEPS[6], STEPS[7])
    serve_on(read_settings(os.environ))


def names() -> list[str]:
    return [f"Budget {number:03}" for number in range(ROUNDS)]


def arrivals(
    receivers: Mapping[str, Receiver], mailbox: Mailbox
) -> Iterator[tuple[str, str, str, bool]]:
    """Yield channel, budget, id and whether it is labelled a repeat, for all that arrived."""
    for name, one in receivers.items():
        posted = one.messages if isinstance(one, SlackApi) else one.arrived
        for message in posted:
            text, id_ = read(message)
            for budget in names():
                if budget in text:
                    yield name, budget, id_, REPEATED in text
    for mail in mailbox.mails:
        parsed = message_from_bytes(mail, policy=email.policy.default)
        part = parsed.get_body(preferencelist=("plain",))  # type: ignore[attr-defined]
        text = part.get_content()
        for budget in names():
            if budget in text:
                yield "mail", budget, parsed["Message-ID"], REPEATED in " ".join(text.split())


def read(message: Any) -> tuple[str, str]:
    """Return the text of what arrived and the id by which its receiver knows it."""
    if isinstance(message, Posted):
        id_ = message.headers.get("webhook-id") or message.content.get("dedup_key", "")
        return message.body.decode(), id_
    place = "below" if "thread_ts" in message else "parent"
    return str(message), f"{place} {message['metadata']['event_payload']['id']}"


def told_all(receivers: Mapping[str, Receiver], mailbox: Mailbox) -> bool:
    told = {(channel, budget) for channel, budget, _, _ in arrivals(receivers, mailbox)}
    return len(told) == len(KINDS) * ROUNDS


def judged(receivers: Mapping[str, Receiver], mailbox: Mailbox, kills: Counter[str]) -> int:
    print(f"kills: {sum(kills.values())}, at least {LEAST_KILLS} at each step")
    for step in (*STEPS, "at random"):
        print(f"  {step:<32} {kills[step]}")
    found = list(arrivals(receivers, mailbox))
    print(f"{'channel':<9} {'semantics':<15} lost  twice  of them labelled")
    bad = sum(kills[step] < LEAST_KILLS for step in STEPS)
    for channel, kind in KINDS.items():
        told: dict[str, list[tuple[str, bool]]] = {name: [] for name in names()}
        for name, budget, id_, labelled in found:
            if name == channel:
                told[budget].append((id_, labelled))
        lost = sum(not some for some in told.values())
        if kind == "idempotent":
            twice = sum(len({id_ for id_, _ in some}) - 1 for some in told.values() if some)
        elif kind == "readable":
            twice = sum(len(some) - len({id_ for id_, _ in some}) for some in told.values())
        else:
            twice = sum(max(0, len(some) - 1) for some in told.values())
        labelled = sum(sum(label for _, label in some) for some in told.values() if len(some) > 1)
        print(f"{channel:<9} {kind:<15} {lost:4}  {twice:5}  {min(labelled, twice):5}")
        exact = kind in ("idempotent", "readable")
        bad += lost + (twice if exact else max(0, twice - labelled))
    return int(bool(bad))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        sys.exit(main())
