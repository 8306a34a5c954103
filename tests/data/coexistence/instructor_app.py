import os

import instructor
import openai
from pydantic import BaseModel


class City(BaseModel):
    city: str


client = instructor.from_openai(
    openai.OpenAI(base_url=os.environ["FAKE_URL"], api_key="k"), mode=instructor.Mode.JSON
)
request = {"model": "gpt-5", "messages": [{"role": "user", "content": "hello"}]}
print(client.chat.completions.create(**request, response_model=City))
print(client.chat.completions.create_with_completion(**request, response_model=City))
