import asyncio
import os

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm

request = {
    "model": "openai/gpt-5",
    "api_base": os.environ["FAKE_URL"],
    "api_key": "k",
    "messages": [{"role": "user", "content": "hello"}],
}
plain = litellm.completion(**request)
print(type(plain), plain.choices[0].message.content, plain.usage)
stream = litellm.completion(**request, stream=True, stream_options={"include_usage": True})
print([chunk.choices[0].delta.content for chunk in stream if chunk.choices])
print(asyncio.run(litellm.acompletion(**request)).usage)
