import os

import openai
from opentelemetry.instrumentation.openai import OpenAIInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

theirs = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(theirs))
OpenAIInstrumentor().instrument(tracer_provider=provider)
client = openai.OpenAI(base_url=os.environ["FAKE_URL"], api_key="k")
message = {"role": "user", "content": "hello"}
print(client.chat.completions.create(model="gpt-5", messages=[message]))
for chunk in client.chat.completions.create(
    model="gpt-5", messages=[message], stream=True, stream_options={"include_usage": True}
):
    print(chunk)
print(client.responses.create(model="gpt-5", input="hello"))
assert len(theirs.get_finished_spans()) == 3, "their own spans are as before"
