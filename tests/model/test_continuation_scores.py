"""Log-likelihoods in shared rows against the plain forward pass, and what must not change them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from divsyn_jax.model import continuation_scores as scoring
from divsyn_jax.model import decoder, sharding
from divsyn_jax.model.config import MeshConfig
from divsyn_jax.model.continuation_scores import ContinuationRequest
from tests.model.test_decoder import TINY, larger_weights


def requests() -> list[ContinuationRequest]:
    """Questions with several choices, of which some repeat, some are one token and some share a
    beginning.
    """
    generator = np.random.default_rng(0)
    made = []
    for _ in range(12):
        question = generator.integers(0, TINY.vocab_size, generator.integers(1, 30)).tolist()
        start = generator.integers(0, TINY.vocab_size, 2).tolist()
        for _ in range(4):
            choice = generator.integers(0, TINY.vocab_size, generator.integers(1, 9)).tolist()
            made.append(ContinuationRequest(question + choice, len(question)))
        made.append(ContinuationRequest(question + start + [3], len(question)))
        made.append(ContinuationRequest(question + start + [4, 5], len(question)))
        made.append(ContinuationRequest([*question, 3], len(question)))
        made.append(ContinuationRequest([*question, 9], len(question)))
    return made


@pytest.fixture(scope="module")
def params():
    return larger_weights(decoder.init_params(TINY, seed=0))


def scores(params, wanted, batch_tokens):
    mesh = sharding.make_mesh(MeshConfig(replica=1, fsdp=-1, tensor=1), jax.devices()[:1])
    found = {}
    with jax.set_mesh(mesh):
        for batch in scoring.score_continuations(TINY, params, mesh, wanted, batch_tokens):
            assert not found.keys() & batch.keys()
            found.update(batch)
    return [found[index] for index in range(len(wanted))]


def plain(params, request) -> tuple[float, bool]:
    padded = np.zeros((1, 64), np.int32)
    padded[0, : len(request.tokens)] = request.tokens
    logp = np.asarray(jax.nn.log_softmax(decoder.logits(TINY, params, padded)[0]), np.float64)
    places = range(request.context - 1, len(request.tokens) - 1)
    value = sum(logp[place, request.tokens[place + 1]] for place in places)
    return value, all(int(np.argmax(logp[place])) == request.tokens[place + 1] for place in places)


@pytest.mark.long
def test_scores_are_those_of_each_text_alone(params):
    wanted = requests()
    greedy = wanted[0].tokens[:5]
    for _ in range(3):  # a continuation that greedy decoding would write
        greedy = [*greedy, int(jnp.argmax(decoder.logits(TINY, params, np.array([greedy]))[0, -1]))]
    wanted.append(ContinuationRequest(greedy, 5))
    found = scores(params, wanted, 512)
    expected = [plain(params, request) for request in wanted]
    np.testing.assert_allclose(
        [value for value, _ in found], [value for value, _ in expected], rtol=1e-5
    )
    assert [flag for _, flag in found] == [flag for _, flag in expected]
    assert found[-1][1]


def test_batch_size_and_company_change_nothing(params):
    wanted = requests()
    base = np.array([value for value, _ in scores(params, wanted, 512)])
    for batch_tokens in (1, 100, 4096):
        other = np.array([value for value, _ in scores(params, wanted, batch_tokens)])
        np.testing.assert_allclose(other, base, rtol=1e-5)
    alone = [scores(params, [request], 512)[0][0] for request in wanted[:4]]
    np.testing.assert_allclose(alone, base[:4], rtol=1e-5)


def test_choices_of_a_question_share_a_row():
    context = list(range(50))
    wanted = [ContinuationRequest([*context, choice, 7], 50) for choice in (90, 91, 92, 93)] + [
        ContinuationRequest([80] * 40, 1)
    ]
    rows = scoring.plan_rows(wanted)
    assert [(set(row.members), row.prefix, row.slots) for row in rows] == [
        ({0, 1, 2, 3}, 50, 54),
        ({4}, 39, 39),
    ]
    assert sorted(index for row in scoring.plan_rows(requests()) for index in row.members) == list(
        range(96)
    )


def test_rows_stay_within_bounds_and_rarely_related_texts_stay_apart():
    generator = np.random.default_rng(1)
    unrelated = [
        ContinuationRequest([1, *generator.integers(2, 100, 30).tolist()], 1) for _ in range(20)
    ]
    assert all(len(row.members) == 1 for row in scoring.plan_rows(unrelated))
    many = [
        ContinuationRequest([*range(100), *generator.integers(0, 100, 40).tolist()], 100)
        for _ in range(40)
    ]
    assert max(row.slots for row in scoring.plan_rows(many)) <= 512
