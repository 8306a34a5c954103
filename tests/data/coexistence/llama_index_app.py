import asyncio
import os

from llama_index.core.llms import ChatMessage
from llama_index.llms.openai import OpenAI

counted = {"stream_options": {"include_usage": True}}
model = OpenAI(model="gpt-4o", api_base=os.environ["FAKE_URL"], api_key="k")
messages = [ChatMessage(role="user", content="hello")]
print(model.chat(messages))
print([str(piece.delta) for piece in model.stream_chat(messages, **counted)])
print(asyncio.run(model.achat(messages)))
