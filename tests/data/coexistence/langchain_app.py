import asyncio
import os

from langchain_openai import ChatOpenAI, OpenAIEmbeddings

address = {"base_url": os.environ["FAKE_URL"], "api_key": "k"}
model = ChatOpenAI(model="gpt-5", stream_usage=True, **address)
answer = model.invoke("hello")
print(type(answer), answer.content, answer.usage_metadata)
print([(type(chunk), chunk.content, chunk.usage_metadata) for chunk in model.stream("hello")])
print(asyncio.run(model.ainvoke("hello")).content)
embeddings = OpenAIEmbeddings(
    model="text-embedding-3-small", check_embedding_ctx_length=False, **address
)
print(embeddings.embed_query("hello"))
