"""G-Vendi: gradients of single documents, one at a time and all at once."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.diversity.baselines import Settings, compute, largest_shared_text
from divsyn_jax.diversity.baselines.gvendi import gvendi
from divsyn_jax.model import decoder
from divsyn_jax.training import document_gradients as gradients_of
from divsyn_jax.training.trained_run import open_run
from tests.conftest import small_texts
from tests.trained_runs import make_run


@pytest.fixture(scope="module")
def proxy(tmp_path_factory, tokenizer_dir):
    root = tmp_path_factory.mktemp("proxy")
    return make_run(root / "run", tokenizer_dir, seq_len=64, hidden=32, intermediate=48, layers=2)


TEXTS = [*small_texts(5, words=12), "one", "many " * 200]


def by_hand(proxy, texts, dimensions):
    """A loop over documents: the mean cross-entropy of optax, one document at a time, its gradient
    flattened and multiplied by the whole projection matrix."""
    run = open_run(proxy)
    params, _ = run.load_params(run.inference_mesh())
    model = run.inference_model
    numbers = sum(leaf.size for leaf in jax.tree.leaves(params))
    sketch = gradients_of.Sketch.drawn(numbers, dimensions, 0)
    rows = np.zeros((numbers, dimensions), np.float32)
    order, signs = np.asarray(sketch.order_RE), np.asarray(sketch.signs_RE)
    np.add.at(rows, (order, np.arange(dimensions)[None].repeat(len(order), 0)), signs)
    assert (np.abs(rows).sum(axis=1) == 1).all()  # every number goes to one place

    def loss(params, tokens):
        x = jnp.asarray([tokens[:-1]])
        logits = decoder.logits(model, params, x)
        losses = optax.softmax_cross_entropy_with_integer_labels(logits[0], jnp.asarray(tokens[1:]))
        return losses.mean()

    found = []
    for tokens in run.tokenizer.encode(texts):
        tokens = [*run.tokenizer.context_ids, *tokens, run.tokenizer.eos_id][:65]
        gradient = jax.grad(loss)(params, tokens)
        flat = np.concatenate([np.asarray(leaf).ravel() for leaf in jax.tree.leaves(gradient)])
        vector = flat.astype(np.float64) @ rows
        found.append(vector / np.linalg.norm(vector))
    return np.array(found)


def test_gradients_are_those_of_a_loop_over_documents(proxy):
    found = gradients_of.document_gradients(open_run(proxy), TEXTS, 64)
    expected = by_hand(proxy, TEXTS, 64)
    np.testing.assert_allclose(found.vectors_NE, expected, atol=1e-5)
    assert gvendi(found.vectors_NE) == pytest.approx(gvendi(expected), rel=1e-5)
    assert found.cut == 1
    np.testing.assert_allclose(np.linalg.norm(found.vectors_NE, axis=1), 1, rtol=1e-5)


def test_a_sketch_keeps_cosines():
    generator = np.random.default_rng(0)
    one, two = generator.standard_normal((2, 30_000))
    two = 0.6 * one + 0.8 * two
    sketches = [gradients_of.Sketch.drawn(30_000, 512, seed) for seed in range(8)]
    found = []
    for sketch in sketches:
        a, b = sketch.of(jnp.asarray(one)), sketch.of(jnp.asarray(two))
        found.append(float(a @ b / np.sqrt((a @ a) * (b @ b))))
    assert np.mean(found) == pytest.approx(0.6, abs=0.02)
    assert np.std(found) < 2 / 512**0.5


def test_equal_documents_are_one_and_the_run_is_named(proxy, make_sample):
    sample = make_sample([{"text": TEXTS[0]}] * 6)
    settings = Settings(names=("gvendi",), proxy=str(proxy))
    entry = compute(sample, largest_shared_text(sample.texts, 1000), settings, None)["gvendi"]
    assert entry["value"] == pytest.approx(1, abs=1e-4)
    assert entry["proxy"] == str(proxy)
    assert len(entry["checkpoint"]) == 16
    assert entry["documents"] == 6
    assert "warning" not in entry


def test_cut_documents_are_named(proxy, make_sample):
    sample = make_sample([{"text": text} for text in TEXTS])
    settings = Settings(names=("gvendi",), proxy=str(proxy))
    entry = compute(sample, largest_shared_text(sample.texts, 10_000), settings, None)["gvendi"]
    assert entry["warning"].startswith("1 of 7 documents are longer than the proxy's window")
    assert 2 < entry["value"] <= 7


def test_without_a_proxy_there_is_a_reason_and_a_folder_without_a_run_is_refused(
    make_sample, tmp_path
):
    sample = make_sample([{"text": text} for text in TEXTS])
    entry = compute(sample, largest_shared_text(sample.texts, 1000), Settings(), None)["gvendi"]
    reason = "no run named whose gradients to take (--proxy=WORKDIR)"
    assert entry == {"value": None, "reason": reason}
    with pytest.raises(UserError, match=f"--proxy={tmp_path}: no run here"):
        Settings(proxy=str(tmp_path))
