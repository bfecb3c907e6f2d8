"""A serving stack we did not write:

`transformers serve` with a model that always gives one answer.
"""

import json
import socket
import subprocess
import sys
import time
import urllib.request

import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.endpoint.settings import EndpointSettings
from tests.endpoint.questions import question
from tests.endpoint.sending.test_ladder_and_canary import probe
from tests.endpoint.test_client import ask

ANSWER = {"a": 1, "b": 3, "note": "fixed"}


def save_model(folder):
    """A Llama whose layers pass their input on:

    after any token comes the answer, a token of its own, after it the end.
    """
    import torch
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(
        models.BPE(vocab={letter: index for index, letter in enumerate(letters)}, merges=[])
    )
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>")
    fast.add_tokens([AddedToken(f"Sure: {json.dumps(ANSWER)}", normalized=False)])
    fast.chat_template = (
        "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor"
        " %}assistant: "
    )
    fast.save_pretrained(folder)
    end, answer = fast.eos_token_id, len(fast) - 1
    config = LlamaConfig(
        vocab_size=len(fast), hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, max_position_embeddings=4096, tie_word_embeddings=False,
        eos_token_id=end, bos_token_id=None, pad_token_id=end,
    )  # fmt: skip
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for parameter in model.model.layers.parameters():
            parameter.zero_()
        model.model.embed_tokens.weight.zero_()
        model.model.embed_tokens.weight[:, 0] = 1.0
        model.model.embed_tokens.weight[answer] = torch.eye(16)[1]
        model.lm_head.weight.zero_()
        model.lm_head.weight[answer, 0] = 1.0
        model.lm_head.weight[end, 1] = 1.0
    model.save_pretrained(folder)


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    """Settings for the running server."""
    for package in ("torch", "transformers", "fastapi", "uvicorn"):
        pytest.importorskip(package, reason="the serving extra of transformers is not installed")
    folder = tmp_path_factory.mktemp("served") / "model"
    save_model(folder)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    arguments = [
        "serve",
        str(folder),
        "--device=cpu",
        "--dtype=float32",
        "--host=127.0.0.1",
        f"--port={port}",
    ]
    log = open(folder.parent / "log", "w")
    with subprocess.Popen(
        [sys.executable, "-m", "transformers.cli.transformers", *arguments], stdout=log, stderr=log
    ) as process:
        deadline = time.monotonic() + 300
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    process.kill()
                    pytest.skip(
                        "transformers serve does not start here:"
                        f" {(folder.parent / 'log').read_text()[-500:]}"
                    )
                time.sleep(0.2)
        yield EndpointSettings(base_url=f"http://127.0.0.1:{port}/v1", model=str(folder))
        process.kill()
    log.close()


@pytest.mark.slow
def test_its_answers_are_found_repaired_and_counted(settings, tmp_path):
    results, client = ask(settings, [question(0), question(1)], tmp_path / "cache.sqlite")
    assert [answer.value for answer in results] == [ANSWER, ANSWER]
    assert client.usage.of("cluster").coerced == 2  # it takes response_format and ignores it
    counts = client.usage.of("cluster")
    assert counts.unmetered == 0
    assert counts.completion_tokens == 4  # the answer and the end, twice
    rendered = f"system: {question(0).system}\nuser: {question(0).user}\nassistant: "
    assert counts.prompt_tokens == 2 * len(rendered)  # a token a byte
    again, _ = ask(settings, [question(0)], tmp_path / "cache.sqlite")
    assert again[0].cached


@pytest.mark.slow
def test_the_canary_turns_this_model_down(settings):
    with pytest.raises(UserError, match="does not answer in the shape asked for, in no mode"):
        probe(settings)
