import asyncio
import os

from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    set_tracing_disabled,
)
from openai import AsyncOpenAI

set_tracing_disabled(disabled=True)
client = AsyncOpenAI(base_url=os.environ["FAKE_URL"], api_key="k")


async def main() -> None:
    chat = Agent(name="a", model=OpenAIChatCompletionsModel("gpt-5", client))
    plain = await Runner.run(chat, "hello")
    print(plain.final_output, plain.context_wrapper.usage)
    answering = Agent(name="b", model=OpenAIResponsesModel("gpt-5", client))
    streamed = Runner.run_streamed(answering, "hello")
    print([event.type async for event in streamed.stream_events()])
    print(streamed.final_output, streamed.context_wrapper.usage)


asyncio.run(main())
