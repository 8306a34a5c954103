import asyncio
import os

from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.openai import OpenAIProvider

provider = OpenAIProvider(base_url=os.environ["FAKE_URL"], api_key="k")
agent = Agent(OpenAIChatModel("gpt-5", provider=provider))


async def main() -> None:
    plain = await agent.run("hello")
    print(plain.output, plain.usage)
    async with agent.run_stream("hello") as stream:
        print([piece async for piece in stream.stream_output(debounce_by=None)], stream.usage)
    answered = await agent.run("hello", model=OpenAIResponsesModel("gpt-5", provider=provider))
    print(answered.output, answered.usage)


asyncio.run(main())
