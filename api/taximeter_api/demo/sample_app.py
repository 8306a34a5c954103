"""A small app that calls OpenAI: what a user of Taximeter already has.

It is run as `taximeter-instrument python sample_app.py`; the tags are its only mention of us.
"""

import contextlib
import random
import sys
import time
from collections.abc import Iterator

import openai

import taximeter

USERS = ["u0001", "u0002", "u0007", "u0010"]


def chat(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "Where is my order?"}],
        stream=True,
        stream_options={"include_usage": True},
    )
    for _chunk in stream:
        pass


def review(client: openai.OpenAI) -> None:
    client.responses.create(model="gpt-5", input="Review this change, please.")


def search(client: openai.OpenAI) -> None:
    client.embeddings.create(model="text-embedding-3-small", input=["refund policy"])


def triage(client: openai.OpenAI) -> None:
    client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "Which team is this for?"}]
    )


def refused(client: openai.OpenAI) -> None:
    with contextlib.suppress(openai.BadRequestError):
        client.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "too long"}], max_tokens=-1
        )


WORK = {
    "support-chat": chat,
    "code-review-bot": review,
    "doc-search": search,
    "ticket-triage": triage,
    "email-drafting": refused,
}
ROUNDS = 12
PAUSE_S = 30.0
OF_TWENTY = {
    "support-chat": 4,
    "code-review-bot": 1,
    "doc-search": 9,
    "ticket-triage": 5,
    "email-drafting": 1,
}
"""How many calls are of each feature as the app goes on: they cost what the month's hours did."""


def endless() -> Iterator[str]:
    while True:
        yield from random.choices(list(OF_TWENTY), list(OF_TWENTY.values()))  # noqa: S311 a sample
        time.sleep(PAUSE_S)


def main() -> None:
    client = openai.OpenAI()
    calls = 0
    for feature in endless() if "--endless" in sys.argv else [*WORK] * ROUNDS:
        with taximeter.tag(feature=feature, user=USERS[calls % len(USERS)]):
            WORK[feature](client)
        calls += 1
    sys.stdout.write(f"{calls}\n")


if __name__ == "__main__":
    main()
