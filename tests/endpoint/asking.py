"""A process that asks many questions:

python -m tests.endpoint.asking URL CACHE COUNT, answers as JSON on its output.
"""

import asyncio
import json
import pathlib
import sys

from divsyn_jax.endpoint import running
from divsyn_jax.endpoint.client import Client
from divsyn_jax.endpoint.sending import canary
from divsyn_jax.endpoint.settings import EndpointSettings
from tests.endpoint.questions import question


async def main(url, cache, count):
    settings = EndpointSettings(base_url=url, model="test", concurrency=8, backoff_s=0.02)
    async with Client(settings, pathlib.Path(cache)) as client:
        await canary.probe(client, 3, 300)
        answers = await asyncio.gather(
            *(client.complete(question(number)) for number in range(count))
        )
    print(json.dumps([answer.value for answer in answers]))


if __name__ == "__main__":
    running.run_stoppable(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
