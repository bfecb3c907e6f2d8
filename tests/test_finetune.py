"""Fine-tuning:

only responses are learned from, packing changes nothing, epochs are whole, interrupted equals
uninterrupted.
"""

import dataclasses
import json
import runpy
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from divsyn_jax.data.pipeline import Mixture, Source
from divsyn_jax.data.shard_builder import build_shards
from divsyn_jax.data.shards import PACKED_ROWS
from divsyn_jax.model import decoder, sharding
from divsyn_jax.model.config import MeshConfig
from divsyn_jax.training import heldout, step
from divsyn_jax.training.recipe import Recipe
from tests.conftest import conversations, fails_with_one_line, write_conversations
from tests.test_train import metrics_of, start, start_with, wait_for_step

L = 160  # longer than a block of queries
ROWS = 4


@pytest.fixture(scope="module", autouse=True)
def mesh():
    one = sharding.make_mesh(MeshConfig(1, 1, 1))
    with jax.set_mesh(one):
        yield one


@pytest.fixture(scope="module")
def chats(tmp_path_factory, tokenizer_dir):
    """Folders `a` and `b` of conversations to fine-tune on and `held` to evaluate on, of sequence
    length 160.
    """
    root = tmp_path_factory.mktemp("chats")
    for index, (name, count) in enumerate((("a", 40), ("b", 25), ("held", 15))):
        corpus = write_conversations(root / f"{name}.jsonl", conversations(count, seed=index))
        build_shards(
            [corpus], str(tokenizer_dir), str(root / name), L, "best_fit", system_prompt="Be kind."
        )
    return root


def recipe(**model_changes) -> Recipe:
    config = runpy.run_path("configs/sft_tiny.py")["get_config"]().to_dict()
    config["model"].update(
        vocab_size=400, hidden=32, intermediate=48, heads=2, kv_heads=1, attention="blocked"
    )
    config["model"].update(model_changes)
    return Recipe.from_config({**config, "seq_len": L, "global_batch": ROWS})


@pytest.fixture(scope="module")
def params():
    fresh = decoder.init_params(recipe().model, 0)
    # Far from the small start, so that every weight matters.
    return jax.tree.map(
        lambda x: x + 0.1 * jnp.sin(jnp.arange(x.size, dtype=jnp.float32)).reshape(x.shape), fresh
    )


@pytest.fixture(scope="module")
def batch(chats):
    return next(Mixture([Source("a", chats / "a", 1.0)], L, 0, ROWS, epochs=1).batches(0))


def difference(one, other) -> float:
    gap = max(
        float(jnp.max(jnp.abs(a - b)))
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )
    return gap / max(float(jnp.max(jnp.abs(leaf))) for leaf in jax.tree.leaves(one))


@pytest.mark.parametrize("accumulation", [1, 2])
def test_targets_that_are_not_responses_change_no_bit_of_any_gradient(params, batch, accumulation):
    with_z_loss = dataclasses.replace(recipe(), accumulation_steps=accumulation)
    with_z_loss = dataclasses.replace(
        with_z_loss, loss=dataclasses.replace(with_z_loss.loss, z_loss=1e-3)
    )
    gradient = jax.jit(step.make_gradient(with_z_loss))
    masked = batch["loss_mask"] == 0
    assert 0 < masked.sum() < masked.size
    noise = np.random.default_rng(0).integers(0, 400, masked.shape)
    before = gradient(params, batch)
    after = gradient(params, {**batch, "targets": np.where(masked, noise, batch["targets"])})
    for left, right in zip(jax.tree.leaves(before), jax.tree.leaves(after), strict=True):
        np.testing.assert_array_equal(left.view(np.int32), right.view(np.int32))
    learned = gradient(params, {**batch, "targets": np.where(masked, batch["targets"], noise)})
    assert difference(before, learned) > 0.01


def unpacked(batch) -> dict[str, np.ndarray]:
    """Every conversation of a packed batch in a row of its own."""
    rows = []
    for row in range(len(batch["segments"])):
        for segment in range(1, batch["segments"][row].max() + 1):
            at = batch["segments"][row] == segment
            alone = {
                name: np.pad(batch[name][row][at], (0, int((~at).sum()))) for name in PACKED_ROWS
            }
            rows.append({**alone, "segments": np.minimum(alone["segments"], 1)})
    return {name: np.stack([row[name] for row in rows]) for name in PACKED_ROWS}


@pytest.mark.long
@pytest.mark.parametrize("attention", ["reference", "blocked"])
def test_packed_conversations_lose_what_they_lose_alone(params, batch, attention):
    shape = recipe(attention=attention)
    evaluate = step.make_eval_step(shape.model, chunk=32)
    alone = unpacked(batch)
    assert len(alone["inputs"]) > ROWS
    packed_nll = np.asarray(evaluate(params, {name: batch[name] for name in PACKED_ROWS}))[
        batch["loss_mask"] > 0
    ]
    alone_nll = np.asarray(evaluate(params, alone))[alone["loss_mask"] > 0]
    np.testing.assert_allclose(packed_nll, alone_nll, rtol=1e-5, atol=1e-5)
    gradient = jax.jit(step.make_gradient(shape))
    assert difference(gradient(params, batch), gradient(params, alone)) < 1e-5


def test_a_conversation_sees_no_other(params, batch):
    evaluate = step.make_eval_step(recipe().model, chunk=0)
    windows = {name: batch[name] for name in PACKED_ROWS}
    second = batch["segments"] == 2
    changed = {**windows, "inputs": np.where(second, (batch["inputs"] + 7) % 400, batch["inputs"])}
    before, after = np.asarray(evaluate(params, windows)), np.asarray(evaluate(params, changed))
    np.testing.assert_array_equal(before[~second], after[~second])
    assert np.abs(before - after).max() > 1e-3


@pytest.mark.long
def test_the_loss_is_the_mean_over_responses_of_the_whole_batch(params, batch):
    shape = recipe()
    nll = np.asarray(
        step.make_eval_step(shape.model, 0)(params, {name: batch[name] for name in PACKED_ROWS})
    )
    mean = nll.sum() / batch["loss_mask"].sum()
    for accumulation in (1, 2, 4):
        gradient = jax.jit(
            step.make_gradient(dataclasses.replace(shape, accumulation_steps=accumulation))
        )
        assert float(gradient(params, batch)[0]) == pytest.approx(mean, rel=1e-5)


def test_held_out_conversations_are_summed_one_by_one(params, chats, mesh):
    domain = heldout.ChatDomain(Source("held", chats / "held", 1.0), L)
    evaluate = step.make_eval_step(recipe().model, 0)
    whole = domain.evaluate(evaluate, params, 64, mesh)
    by_three = domain.evaluate(evaluate, params, 3, mesh)
    held = next(
        Mixture([Source("held", chats / "held", 1.0)], L, 0, len(domain.windows), epochs=1).batches(
            0
        )
    )
    alone = unpacked(held)
    nll = np.asarray(evaluate(params, alone)).sum(axis=1)
    assert sorted(document["targets"] for document in whole) == sorted(
        alone["loss_mask"].sum(axis=1)
    )
    np.testing.assert_allclose(sorted(d["nll"] for d in whole), sorted(nll), rtol=1e-5)
    np.testing.assert_allclose([d["nll"] for d in whole], [d["nll"] for d in by_three], rtol=1e-6)
    # Fmt: skip
    responses = [
        sum(len(m["content"]) for m in r["messages"] if m["role"] == "assistant")
        if "messages" in r
        else len(r["response"])
        for r in conversations(15, seed=2)
    ]
    assert sorted(document["bytes"] for document in whole) == sorted(responses)


# ------------------------------------------------------------------------------------------------
# whole runs


def arguments(chats, base, workdir, *overrides) -> list[str]:
    model = {
        "vocab_size": 400,
        "hidden": 32,
        "intermediate": 48,
        "layers": 2,
        "heads": 2,
        "kv_heads": 1,
    }
    return [
        "--config=configs/sft_tiny.py",
        f"--workdir={workdir}",
        f"--config.init_from={base}",
        f"--config.data.train=a={chats}/a,b={chats}/b",
        f"--config.data.eval=held={chats}/held",
        *(f"--config.model.{key}={value}" for key, value in model.items()),
        "--config.global_batch=4",
        f"--config.seq_len={L}",
        "--config.optimizer.warmup_steps=2",
        "--config.optimizer.peak_lr=0.003",
        "--config.checkpoint.every_steps=3",
        "--config.eval.every_steps=8",
        "--config.eval.batch=4",
        *overrides,
    ]


@pytest.fixture(scope="module")
def base(shards, tmp_path_factory):
    """A pre-trained run."""
    workdir = tmp_path_factory.mktemp("base") / "run"
    process = start(shards, workdir, "--config.data.eval=")
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output
    return workdir


@pytest.fixture(scope="module")
def fine_tuned(chats, base, tmp_path_factory, command):
    workdir = tmp_path_factory.mktemp("sft") / "whole"
    result = command("divsyn_jax.train", *arguments(chats, base, workdir))
    assert result.returncode == 0, result.stderr
    return workdir, result.stdout


@pytest.mark.long
def test_a_run_of_three_epochs(fine_tuned, chats, base):
    workdir, output = fine_tuned
    windows = [json.loads((chats / name / "manifest.json").read_text())["windows"] for name in "ab"]
    steps = -(-3 * sum(windows) // 4)
    config = json.loads((workdir / "config.json").read_text())
    assert (config["steps"], config["epochs"]) == (steps, 3)
    assert Recipe.from_config(config).steps == steps
    lines = metrics_of(workdir)
    assert [line["step"] for line in lines] == list(range(1, steps + 1))
    assert (lines[-1]["epochs/a"], lines[-1]["epochs/b"]) == (3.0, 3.0)
    assert json.loads((workdir / "DONE").read_text())["step"] == steps
    learned = sum(
        3 * json.loads((chats / name / "manifest.json").read_text())["targets"] for name in "ab"
    )
    assert sum(line["targets"] for line in lines) == learned
    assert all(0 <= line["padding_share"] < 0.5 for line in lines[:-1])
    evaluated = [line["eval/held/loss"] for line in lines if "eval/held/loss" in line]
    assert evaluated[-1] < evaluated[0]
    assert (workdir / "tokenizer" / "chat_template.jinja").read_text() == (
        chats / "a/chat_template.jinja"
    ).read_text()
    assert not (base / "tokenizer" / "chat_template.jinja").exists()
    assert "40 conversations in" in output
    assert "3.00 epochs of" in output


@pytest.mark.runs
def test_killed_anywhere_equals_uninterrupted(chats, base, tmp_path, fine_tuned):
    workdir = tmp_path / "killed"
    last = json.loads((fine_tuned[0] / "DONE").read_text())["step"]
    for at in (
        2,
        last // 2,
        last - 1,
    ):  # before the first checkpoint, in the second epoch, in the batch with blank rows
        process = start_with(arguments(chats, base, workdir))
        wait_for_step(process, workdir, at)
        process.send_signal(signal.SIGKILL)
        process.wait()
    process = start_with(arguments(chats, base, workdir))
    output, _ = process.communicate(timeout=400)
    assert process.returncode == 0, output
    assert metrics_of(workdir) == metrics_of(fine_tuned[0])


@pytest.mark.long
def test_a_fine_tuned_run_is_evaluated(fine_tuned, command):
    workdir, _ = fine_tuned
    result = command("divsyn_jax.evaluate", f"--workdir={workdir}")
    assert result.returncode == 0, result.stderr
    held = json.loads((workdir / "eval.json").read_text())["domains"]["held"]
    assert held["documents"] == 15
    assert held["loss"] == pytest.approx(metrics_of(workdir)[-1]["eval/held/loss"], rel=1e-6)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("--config.init_from=", "name its directory with --config.init_from=RUN"),
        ("--config.steps=5", "config.steps=5 and config.epochs=3: give one"),
        ("--config.epochs=0", "steps=0 and epochs=0; give one of them"),
        ("--config.optimizer.warmup_steps=500", "warmup_steps=500 is not less than steps="),
    ],
)
def test_bad_settings_give_one_line(chats, base, tmp_path, command, override, message):
    result = command("divsyn_jax.train", *arguments(chats, base, tmp_path / "run"), override)
    fails_with_one_line(result, message)
    assert not (tmp_path / "run").exists()


def test_another_length_does_not_continue_a_run(chats, base, fine_tuned, command):
    done = fine_tuned[0] / "DONE"
    result = command(
        "divsyn_jax.train", *arguments(chats, base, fine_tuned[0]), "--config.epochs=4"
    )
    fails_with_one_line(result, "config.epochs was 3, now 4")
    assert done.exists()


@pytest.mark.parametrize("name", ["350m", "1_4b"])
def test_recipes_are_the_papers(name):
    tuned = runpy.run_path(f"configs/sft_{name}.py")["get_config"]("level=topic_styles")
    trained = runpy.run_path(f"configs/{name}.py")["get_config"]("level=topic_styles")
    assert tuned.model == trained.model
    assert tuned.level == trained.level
    assert (tuned.epochs, tuned.steps, tuned.data.train) == (3, 0, "")
    assert (tuned.optimizer.peak_lr, tuned.optimizer.weight_decay) == (2e-5, 0.0)
