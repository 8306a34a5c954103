"""An app that calls OpenAI and has never heard of Taximeter."""

import asyncio
import contextlib

import openai
from openai.types.chat import ChatCompletionMessageParam

QUESTION: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "sentinel-text-that-stays-in-the-app"}
]


def answer_question(client: openai.OpenAI) -> None:
    client.chat.completions.create(model="gpt-4o", messages=QUESTION)


def tell_a_story(client: openai.OpenAI) -> None:
    story = client.chat.completions.create(
        model="gpt-4o-mini",
        messages=QUESTION,
        stream=True,
        stream_options={"include_usage": True},
    )
    for _chunk in story:
        pass


def index_documents(client: openai.OpenAI) -> None:
    client.embeddings.create(model="text-embedding-3-small", input=["a", "b"], user="ada")


def try_the_new_model(client: openai.OpenAI) -> None:
    client.chat.completions.create(model="mystery-1", messages=QUESTION)


def ask_for_too_much(client: openai.OpenAI) -> None:
    with contextlib.suppress(openai.BadRequestError):
        client.chat.completions.create(model="gpt-4o", messages=QUESTION, max_tokens=-1)


async def review_code(client: openai.AsyncOpenAI) -> None:
    await client.responses.create(model="gpt-5", input="sentinel-text-that-stays-in-the-app")


if __name__ == "__main__":
    with openai.OpenAI() as sync_client:
        answer_question(sync_client)
        tell_a_story(sync_client)
        index_documents(sync_client)
        try_the_new_model(sync_client)
        ask_for_too_much(sync_client)
    asyncio.run(review_code(openai.AsyncOpenAI()))
