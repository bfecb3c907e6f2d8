import itertools
import json

import numpy as np
import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.diversity import compare, score
from divsyn_jax.diversity.comparison import comparison_of
from divsyn_jax.diversity.facets import measured
from divsyn_jax.diversity.facets.measured import FACETS, measure_facets
from divsyn_jax.diversity.facets.names import FACET_NAMES
from divsyn_jax.diversity.facets.records import estimate_of
from divsyn_jax.diversity.reporting import facet_profile
from divsyn_jax.synthesis.grammar.grammar import Breadth, generate_passages
from tests.diversity.corpora import write_labelled
from tests.diversity.test_score_file import OLD

AXES = ("topics", "styles", "personas", "wordings", "formats")
OWN = {"topic": "topics", "style": "styles", "structure": "formats", "wording": "wordings"}


def of_topics(labels):
    """Vectors as of a perfect embedding: documents of one topic at distance 0, others at 1."""
    names = sorted(set(labels))
    return np.eye(len(names), dtype=np.float32)[[names.index(label) for label in labels]]


def corpus(breadth, documents=60, seed=0):
    found = list(itertools.islice(generate_passages(breadth, seed), documents))
    return [d["text"] for d in found], of_topics([d["topic"] for d in found])


@pytest.fixture(scope="module")
def responses():
    """(design [C, A], {facet: [C] values}) over a half fraction of the grammar's knobs."""
    half = np.array(list(itertools.product((-1, 1), repeat=4)))
    design = np.column_stack([half, half.prod(axis=1)])
    values = {name: [] for name in FACET_NAMES}
    for number, row in enumerate(design):
        high, low = (32, 8, 16, 6, 8), (4, 1, 1, 1, 1)
        knobs = [high[axis] if at > 0 else low[axis] for axis, at in enumerate(row)]
        breadth = Breadth(**dict(zip(AXES, knobs, strict=True)))
        for name, record in measure_facets(
            FACET_NAMES, *corpus(breadth, 48, seed=100 + number)
        ).items():
            values[name].append(record["value"])
    return design, values


@pytest.mark.parametrize("facet", FACET_NAMES)
def test_a_facet_sees_its_own_factor_only(responses, facet):
    design, values = responses
    logs = np.log(values[facet]) - np.mean(np.log(values[facet]))
    share = len(logs) * (design.T @ logs / len(logs)) ** 2 / (logs**2).sum()
    own = AXES.index(OWN[facet])
    assert share[own] > 0.8
    assert np.delete(share, own).max() < 0.1


def test_numbers_of_facets_where_they_are_known():
    texts, vectors = corpus(Breadth(4, 1, 1, wordings=1, formats=1), 80)
    found = measure_facets(FACET_NAMES, texts, vectors)
    assert found["topic"]["value"] == pytest.approx(4, rel=0.02)
    assert found["structure"]["value"] == pytest.approx(1, abs=0.01)
    for record in found.values():
        assert record["ci_low"] <= record["value"] <= record["ci_high"]
        assert record["documents"] == 80
        assert record["reads"]
        assert record["cannot_see"]
    assert list(measure_facets(("style",), texts, None)) == ["style"]
    assert measure_facets((), texts, None) == {}


def test_the_number_does_not_depend_on_rows_at_once(monkeypatch):
    texts, vectors = corpus(Breadth(4, 4, 4, wordings=2, formats=2), 50)
    whole = measure_facets(FACET_NAMES, texts, vectors)
    monkeypatch.setattr(measured, "_ROWS_AT_ONCE", 7)
    for name, record in measure_facets(FACET_NAMES, texts, vectors).items():
        for key in ("value", "ci_low", "ci_high"):
            assert record[key] == pytest.approx(whole[name][key], rel=1e-5)


def test_the_error_of_wording_is_that_of_leaving_out_documents():
    texts, vectors = corpus(Breadth(4, 2, 2, wordings=4, formats=1), 32)
    record = measure_facets(("wording",), texts, vectors)["wording"]
    left_out = []
    for place in range(len(texts)):
        rest = [number for number in range(len(texts)) if number != place]
        one = measure_facets(("wording",), [texts[n] for n in rest], vectors[rest])["wording"]
        left_out.append(np.log(one["share"]))
    jackknife = (len(texts) - 1) * np.var(left_out)
    moved = record["value"] / len(texts)
    assert record["log_error"] == pytest.approx(np.sqrt(jackknife) * (1 - moved), rel=0.25)


def test_a_facet_that_cannot_be_measured_says_why():
    texts, vectors = corpus(Breadth(4, 1, 1, wordings=1, formats=1), 12)
    found = measure_facets(FACET_NAMES, texts, None, "no model here")
    assert {name for name in found if found[name]["value"] is None} == {"topic", "wording"}
    assert found["topic"]["reason"] == "no model here"
    german = ["Die Bienen fliegen weit und tragen Pollen nach Hause, damit es warm bleibt."] * 5
    found = measure_facets(FACET_NAMES, german, of_topics("abcde"))
    assert "no English running text" in found["style"]["reason"]
    assert found["wording"]["value"] is None
    assert found["structure"]["value"] == pytest.approx(1)
    found = measure_facets(FACET_NAMES, texts[:2], vectors[:2])
    assert all("three" in record["reason"] for record in found.values())
    one_topic = measure_facets(("wording",), texts, of_topics("a" * 12))["wording"]
    assert one_topic["value"] is None or one_topic["value"] > 0
    code = ["    return x\n"] * 4
    found = measure_facets(FACET_NAMES, code, of_topics("abcd"))
    assert found["style"]["value"] is None
    assert estimate_of(found["style"], 9) is None


def test_scores_hold_the_facets_asked_for(tmp_path):
    path = str(write_labelled(tmp_path / "c.jsonl", [20] * 5))
    plain = {"agent": "oracle", "label_field": "topic", "draws": 50, "baselines": ()}
    found = score(path, **plain)
    assert list(found["facets"]) == list(FACET_NAMES)
    assert found["settings"]["facets"] == list(FACET_NAMES)
    assert found["facets"]["topic"]["value"] is None
    assert found["facets"]["style"]["value"] == pytest.approx(1, abs=0.05)
    assert found.style.value == found["facets"]["style"]["value"]
    assert list(score(path, **plain, facets=("wording", "style"))["facets"]) == ["style", "wording"]
    assert "facets" not in score(path, **plain, facets=("none",))
    with pytest.raises(UserError, match="'colour' is no facet; choose from topic, style"):
        score(path, **plain, facets=("colour",))


def test_corpora_are_compared_by_facets(tmp_path):
    corpora = {}
    for name, formats in (("flat", 1), ("laid <out>", 8)):
        breadth = Breadth(4, 2, 1, wordings=1, formats=formats)
        records = itertools.islice(generate_passages(breadth, 1), 60)
        path = tmp_path / f"{formats}.jsonl"
        path.write_text("".join(json.dumps(record) + "\n" for record in records))
        corpora[name] = str(path)
    found = compare(
        corpora, agent="oracle", label_field="topic", draws=50, facets=("structure", "topic")
    )
    rows = [row for row in found["differences"] if row["metric"] == "facets.structure"]
    assert len(rows) == 1
    assert rows[0]["ratio"] > 4
    assert rows[0]["p_value_holm"] < 0.001
    scores = list(found.scores.values())
    page = facet_profile.facet_part(scores, comparison_of(scores))
    assert "laid &lt;out&gt;" in page
    assert "<out>" not in page
    assert FACETS["structure"].cannot_see in page
    (said,) = facet_profile.facets_in_words(scores)
    assert "flat: topic unknown, structure 1 [" in said.text()
    assert said.text().count("Unknown topic: no sentence embeddings here") == 1
    assert "within chance" not in page


def test_a_score_without_facets_is_shown_without_them():
    from divsyn_jax.diversity.score_file import read_score

    old = read_score(OLD)
    assert facet_profile.facets_in_words([old]) == []
    assert facet_profile.facet_part([old], comparison_of([old])) == ""
