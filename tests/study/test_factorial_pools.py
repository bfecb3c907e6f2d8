"""Factorial corpora selected from pools: facets steered apart, balance, refusals, the recipe."""

import itertools
import json
from collections import Counter

import numpy as np
import pytest

from configs.studies import factorial_llm
from divsyn_jax.base.commandline import UserError
from divsyn_jax.base.words import count_words
from divsyn_jax.data.readers.corpus import CorpusReader
from divsyn_jax.diversity.facets.measured import FacetPairs, measure_facets
from divsyn_jax.diversity.facets.names import FACET_NAMES
from divsyn_jax.diversity.facets.pair_sums import FacetSums
from divsyn_jax.statistics.factorial import factorial_design
from divsyn_jax.study import recipe
from divsyn_jax.study.factorial import exchange, pools, select_corpora
from divsyn_jax.study.hypotheses.factor_hypotheses import factor_hypotheses
from divsyn_jax.study.identity import study_fingerprint
from divsyn_jax.study.recipe import Study
from divsyn_jax.synthesis.grammar.grammar import Breadth, generate_passages
from tests.conftest import write_jsonl


def passages(count, seed=0, formats=8):
    breadth = Breadth(topics=12, styles=6, personas=4, wordings=3, formats=formats)
    return list(itertools.islice(generate_passages(breadth, seed), count))


@pytest.fixture(scope="module")
def collection():
    """Texts of the grammar, unit vectors of their topics, and their sums."""
    written = passages(200)
    topics = sorted({each["topic"] for each in written})
    vectors = np.eye(len(topics), dtype=np.float32)[[topics.index(e["topic"]) for e in written]]
    texts = [each["text"] for each in written]
    return texts, vectors, FacetSums(FACET_NAMES, FacetPairs(texts, vectors))


def test_sums_over_pairs_are_the_facets_of_a_score(collection):
    texts, vectors, sums = collection
    rows = np.arange(3, 90, 2)
    found = 2 ** sums.log2_facets(sums.within(rows)[:, None], len(rows))[:, 0]
    measured = measure_facets(FACET_NAMES, [texts[row] for row in rows], vectors[rows])
    assert found == pytest.approx([measured[name]["value"] for name in FACET_NAMES], rel=1e-5)


def steered(sums, seed=0):
    """Eight corpora of 12 documents by four facets and their fraction, from four strata."""
    strata = np.arange(200) % 4
    strata[::10] = -1
    signs = factorial_design(FACET_NAMES, "IV").signs_CF
    dealt = exchange.deal(strata, len(signs), 3, seed)
    return strata, signs, dealt, exchange.steer_apart(sums, strata, dealt, signs, seed)


def test_facets_are_steered_apart_independently_and_strata_stay_balanced(collection):
    _, _, sums = collection
    strata, signs, dealt, found = steered(sums)
    members = found.members_CD
    assert members.shape == (8, 12)
    assert len(np.unique(members)) == members.size
    assert all(Counter(strata[row]) == dict.fromkeys(range(4), 3) for row in members)
    values = found.facets_CF
    assert values == pytest.approx(exchange.log2_facets_of(sums, members))
    at_random = exchange.log2_facets_of(sums, dealt)
    for facet in range(len(FACET_NAMES)):
        low, high = (values[signs[:, facet] == sign, facet] for sign in (-1, 1))
        assert high.min() - low.max() > 2 * at_random[:, facet].std()
    largest = max(abs(r) for r in exchange.facet_correlations(FACET_NAMES, values).values())
    assert largest < 0.2
    *_, again = steered(sums)
    assert np.array_equal(again.members_CD, members)
    *_, other = steered(sums, seed=1)
    assert not np.array_equal(other.members_CD, members)


def test_correlations_are_pearsons_and_0_of_what_does_not_vary():
    values = np.random.default_rng(0).standard_normal((9, 3))
    values[:, 2] = 1.0
    found = exchange.facet_correlations(("a", "b", "c"), values)
    assert found["a", "b"] == pytest.approx(np.corrcoef(values[:, 0], values[:, 1])[0, 1])
    assert found["a", "c"] == found["b", "c"] == 0


def test_a_deal_needs_enough_of_every_stratum():
    with pytest.raises(ValueError, match="stratum 1: 2 documents, 3 needed"):
        exchange.deal(np.array([0, 0, 0, 1, 1, -1]), 3, 1, 0)


def test_what_was_reached_is_checked():
    settings = pools.SELECTION
    facet = {"low": [2.0, 2.1], "high": [3.0, 3.2], "at_random": 2.5}
    design = {"facets": {"style": facet}, "largest_r": 0.1, "correlations": {"style, topic": 0.1}}
    select_corpora.check_reached(design, settings)
    with pytest.raises(UserError, match=r"style, topic: r = \+0.30 over the corpora"):
        select_corpora.check_reached(
            {**design, "largest_r": 0.3, "correlations": {"style, topic": 0.3}}, settings
        )
    near = {"style": {**facet, "low": [2.0, 2.9]}}
    with pytest.raises(UserError, match=r"style: a high corpus has 3 kinds and a low one 2.9"):
        select_corpora.check_reached({**design, "facets": near}, settings)


def config(**changes):
    found = factorial_llm.get_config().to_dict()
    found.update(changes)
    return found


SMALL = {"min_words": 1, "max_words": 10_000, "length_bins": 2}


def small(**changes):
    """A study of style and structure, which need no vectors: eight corpora and a twin."""
    factors = {"style": ("low", "high"), "structure": ("low", "high")}
    found = {"factors": factors, "documents": 8, "heldout_documents": 8, "selection": SMALL}
    return config(**{**found, "heldout": ("pools", "unlike_style"), **changes})


@pytest.fixture(scope="module")
def pool_paths(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pools")
    found = []
    for seed, name in enumerate(("one", "two")):
        rows = passages(130, seed)
        path = folder / f"{name}.jsonl"
        # The first document stands twice.
        path.write_text("".join(json.dumps(row) + "\n" for row in [rows[0], *rows]))
        found.append(f"{name}={path}")
    return found


def test_the_recipe_crosses_four_facets_of_its_pools(pool_paths):
    resolved = recipe.resolve(config(), pool_paths, (), "")
    levels = resolved["levels"]
    names = [level["name"] for level in levels]
    assert len(set(names)) == 17
    assert {"all_low", *FACET_NAMES, "_".join(sorted(FACET_NAMES))} <= set(names)
    assert [level.get("file_order", "as_written") for level in levels[:16]].count("by_hash") == 8
    assert [pool["name"] for pool in resolved["pools"]] == ["one", "two"]
    moved = json.loads(json.dumps(resolved))
    moved["pools"][0]["path"] = "/elsewhere"
    assert study_fingerprint(moved) == study_fingerprint(resolved)
    moved["pools"][0]["fingerprint"] = "of other text"
    assert study_fingerprint(moved) != study_fingerprint(resolved)
    said = {each.id: each.statement for each in factor_hypotheses(resolved)}
    assert said["factor:style"].endswith("(on the text most unlike in style)")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"factors": {"topics": (1, 2)}}, "config.factors.topics=.*factors are topic, style"),
        ({"factors": {"topic": ("high", "low")}}, "each \\('low', 'high'\\)"),
        ({"selection": {"candidate": 3}}, "config.selection.candidate: unknown key"),
        ({"selection": {"candidates": 0}}, "config.selection.candidates=0: give 1 or more"),
        ({"selection": {"source_field": 3}}, "source_field=3: give the name of a field"),
        ({"heldout": ("unlike_topic",)}, "unlike_topic: topic is none of config.factors"),
        ({"levels": [{"name": "common", "topics": 3}]}, "topics: this level's corpus is selected"),
    ],
)
def test_a_selection_that_makes_no_study_is_refused_in_one_line(pool_paths, changes, said):
    with pytest.raises(UserError, match=said) as refused:
        recipe.resolve(small(**changes), pool_paths, (), "")
    assert "\n" not in str(refused.value)


def test_pools_and_facets_belong_to_a_selection(pool_paths):
    with pytest.raises(UserError, match="corpora are selected from pools; give these"):
        recipe.resolve(small(), (), (), "")
    without = {key: value for key, value in small().items() if key != "selection"}
    with pytest.raises(UserError, match="give config.selection"):
        recipe.resolve(without, (), (), "")
    no_facets = {**without, "factors": {}, "levels": []}
    with pytest.raises(UserError, match="config.heldout: pools is text of pools"):
        recipe.resolve(no_facets, (), (), "")


def selected(tmp_path, paths, **changes):
    resolved = recipe.resolve(small(**changes), paths, (), "")
    study = Study(resolved, tmp_path)
    (tmp_path / "recipe.json").write_text(json.dumps({"recipe": resolved}))
    select_corpora.select_corpora(tmp_path)
    return study


def test_corpora_are_selected_balanced_and_apart_from_held_out_text(tmp_path, pool_paths):
    study = selected(tmp_path, pool_paths)
    design = json.loads(pools.design_path(tmp_path).read_text())
    assert design["largest_r"] < 0.2
    corpora = {}
    for level in study.recipe["levels"]:
        read = list(CorpusReader(study.source(level)))
        assert Counter(each.fields["source"] for each in read) == {"one": 4, "two": 4}
        corpora[level["name"]] = [each.text for each in read]
        facts = design["corpora"][level["name"]]
        assert facts["words"] == pytest.approx(np.mean([count_words(each.text) for each in read]))
        style = measure_facets(("style",), corpora[level["name"]], None)["style"]
        assert facts["facets"]["style"] == pytest.approx(style["value"], rel=1e-4)
        low, high = (design["facets"]["style"][end] for end in ("low", "high"))
        ends = low if level["at"]["style"] == "low" else high
        assert ends[0] * 0.9 < style["value"] < ends[1] * 1.1
    assert len(corpora) == 9
    chosen = [text for texts in corpora.values() for text in texts]
    assert len(set(chosen)) == len(chosen) == 72
    for source in ("pools", "unlike_style"):
        texts = [each.text for each in CorpusReader(str(pools.heldout_path(tmp_path, source)))]
        assert len(set(texts)) == 8
        assert not set(texts) & set(chosen)
    assert pools.selection_job(tmp_path).done()
    assert "style: low" in "".join(pools.selection_lines(tmp_path))


def test_the_order_of_a_pool_does_not_matter(tmp_path, pool_paths):
    name, path = pool_paths[0].split("=")
    turned = tmp_path / "turned.jsonl"
    turned.write_text("".join(reversed(open(path).readlines())))
    one, two = tmp_path / "a", tmp_path / "b"
    for folder, paths in ((one, pool_paths), (two, [f"{name}={turned}", pool_paths[1]])):
        folder.mkdir()
        selected(folder, paths)
    assert pools.design_path(one).read_text() == pools.design_path(two).read_text()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"documents": 6}, "documents=6 cannot be dealt out equally over 2 sources x 2 bins"),
        ({"documents": 60}, "source one: .* 9 corpora of 30 and held-out text need"),
        ({"selection": {"min_words": 9000, "max_words": 9001}}, "hold no document of 9000 to 9001"),
        ({"selection": {**SMALL, "source_field": "writer"}}, "jsonl:1: no field 'writer'"),
        ({"selection": {**SMALL, "least_ratio": 40.0}}, "which is no ratio of 40"),
    ],
)
def test_pools_that_cannot_be_selected_from_are_refused(tmp_path, pool_paths, changes, said):
    with pytest.raises(UserError, match=said) as refused:
        selected(tmp_path, pool_paths, **changes)
    assert "\n" not in str(refused.value)
    assert not pools.design_path(tmp_path).exists()


def test_a_source_may_be_a_field_of_the_documents(tmp_path, pool_paths):
    resolved = recipe.resolve(
        small(selection={**SMALL, "source_field": "format"}), pool_paths, (), ""
    )
    assert len(select_corpora.read_pools(resolved)) > 3


def test_pools_of_no_english_text_have_no_style(tmp_path):
    rows = [" ".join(f"w{n}x{k}" for k in range(30)) for n in range(200)]
    path = write_jsonl(tmp_path / "codes.jsonl", rows)
    with pytest.raises(UserError, match="style cannot be measured"):
        selected(tmp_path, [f"codes={path}"], selection=SMALL)
