import os

from langfuse import Langfuse
from langfuse.openai import OpenAI
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

theirs = InMemorySpanExporter()
langfuse = Langfuse(
    public_key="pk-lf-1", secret_key="sk-lf-1", base_url="http://127.0.0.1:9", span_exporter=theirs
)
client = OpenAI(base_url=os.environ["FAKE_URL"], api_key="k")
message = {"role": "user", "content": "hello"}
print(client.chat.completions.create(model="gpt-5", messages=[message]))
for chunk in client.chat.completions.create(
    model="gpt-5", messages=[message], stream=True, stream_options={"include_usage": True}
):
    print(chunk)
print(client.responses.create(model="gpt-5", input="hello"))
langfuse.flush()
assert len(theirs.get_finished_spans()) == 3, "their own spans are as before"
