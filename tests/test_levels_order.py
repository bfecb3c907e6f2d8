"""The built-in levels are levels:

each scores above the one before, and the intervals do not overlap.
"""

import itertools

import pytest

from configs import synthesis
from configs.studies import tiny
from divsyn_jax.diversity import score
from divsyn_jax.synthesis.corpus_writer import generate_corpus
from divsyn_jax.synthesis.grammar.grammar import Breadth

TEMPLATES = ("topic", "topic_styles", "topic_styles_persona", "multi_topic_styles_persona")
DOCUMENTS = 800


@pytest.fixture(scope="module")
def breadths(tmp_path_factory):
    """The corpora of the default study, narrow to broad."""
    root = tmp_path_factory.mktemp("breadths")
    levels = [level for level in tiny.get_config().levels if "twin" not in level["name"]]
    for level in levels:
        generate_corpus(
            Breadth(level["topics"], level["styles"], level["personas"]),
            DOCUMENTS,
            level["seed"],
            root / level["name"],
        )
    return [str(root / level["name"]) for level in levels]


@pytest.fixture(scope="module")
def templates(tmp_path_factory):
    """The corpora of the four prompt templates, in the order of the paper."""
    root = tmp_path_factory.mktemp("templates")
    for template in TEMPLATES:
        generate_corpus(
            Breadth(**synthesis.get_config(template).grammar), DOCUMENTS, 0, root / template
        )
    return [str(root / template) for template in TEMPLATES]


def assert_ordered(corpora, metrics, **settings):
    scores = [score(corpus, baselines=(), **settings) for corpus in corpora]
    for metric in metrics:
        for low, high in itertools.pairwise(scores):
            assert low[metric]["ci_high"] < high[metric]["ci_low"], (
                metric,
                low[metric],
                high[metric],
            )


def test_breadths_by_their_topics(breadths):
    assert_ordered(
        breadths, ("cluster_score", "effective_clusters"), agent="oracle", label_field="topic"
    )


@pytest.mark.long
def test_templates_by_their_cells(templates):
    assert_ordered(
        templates, ("cluster_score", "effective_clusters"), agent="oracle", label_field="cell"
    )


@pytest.mark.slow
def test_breadths_by_the_embedding_agent(breadths):
    """Styles and personas hardly move this agent, which sees what a text is about:

    it does not part the templates.
    """
    assert_ordered(breadths, ("cluster_score",), agent="embedding", max_documents=400, draws=5000)
