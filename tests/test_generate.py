"""The generate command: prompts in, text out, and what does not fit is said in one line."""

import json

import numpy as np
import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.evaluation.text_generation import generate_texts, read_prompts
from divsyn_jax.model import decoder, sharding
from divsyn_jax.model.decode import Sampling
from divsyn_jax.training import trained_run
from tests.trained_runs import make_run


@pytest.fixture(scope="module")
def run(tmp_path_factory, tokenizer_dir):
    return make_run(tmp_path_factory.mktemp("run") / "run", tokenizer_dir)


@pytest.mark.long
def test_greedy_text_is_that_of_the_forward_pass(run):
    opened = trained_run.open_run(run)
    mesh = sharding.make_mesh(opened.recipe.mesh)
    params, _ = opened.load_params(mesh)
    prompts = ["the river", "a grey sky over old mills", ""]
    for prompt, text in zip(prompts, generate_texts(run, prompts, 12, Sampling()), strict=True):
        tokens = [1, *opened.tokenizer.encode([prompt])[0]]
        start = len(tokens)
        while len(tokens) < start + 12:
            padded = np.zeros((1, 64), np.int32)
            padded[0, : len(tokens)] = tokens
            logits = decoder.logits(opened.inference_model, params, padded)[0, len(tokens) - 1]
            tokens.append(
                int(np.argmax(logits[: opened.tokenizer.vocab_size]))
            )  # the rest is padding
            if tokens[-1] == opened.tokenizer.eos_id:
                break
        assert text == opened.tokenizer.decode(tokens[start:])


def test_what_does_not_fit_or_is_not_there_is_said(run):
    with pytest.raises(UserError, match="do not fit the context of 64"):
        generate_texts(run, ["the"], 64, Sampling())
    with pytest.raises(UserError, match="no chat template"):
        generate_texts(run, ["the"], 8, Sampling(), chat=True)
    with pytest.raises(UserError, match="no checkpoint of step 9"):
        generate_texts(run, ["the"], 8, Sampling(), step=9)


def test_prompts_come_from_files(tmp_path):
    (tmp_path / "a.txt").write_text("one\n\ntwo words\n")
    assert read_prompts(tmp_path / "a.txt") == ["one", "two words"]
    (tmp_path / "a.jsonl").write_text(
        json.dumps("two\nlines") + "\n" + json.dumps({"prompt": "three"}) + "\n"
    )
    assert read_prompts(tmp_path / "a.jsonl") == ["two\nlines", "three"]
    (tmp_path / "b.jsonl").write_text('"fine"\n{"text": 1}\n')
    with pytest.raises(UserError, match="b.jsonl:2"):
        read_prompts(tmp_path / "b.jsonl")


def test_line_breaks_alone_end_a_prompt(tmp_path):
    (tmp_path / "p.jsonl").write_text(
        '\ufeff"one\u2028two"\r\n\n{"prompt": "three\u0085four"}\n', encoding="utf-8"
    )
    assert read_prompts(tmp_path / "p.jsonl") == ["one\u2028two", "three\u0085four"]
    (tmp_path / "p.txt").write_text("a\u2028b\nc\fd\n", encoding="utf-8")
    assert read_prompts(tmp_path / "p.txt") == ["a\u2028b", "c\fd"]
