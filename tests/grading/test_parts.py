"""Each property that is graded, on metrics and corpora of which everything is known."""

import itertools
import json
import math

import numpy as np
import pytest

from divsyn_jax.base.errors import UserError
from divsyn_jax.grading import cost, invariance, order, people, response, training
from divsyn_jax.grading.bench import Bench, GradedCorpus
from divsyn_jax.grading.grammar_corpora import (
    FACTOR_LEVELS,
    GRAMMAR_FACTORS,
    copies_ladder,
    factor_design,
    topic_ladder,
)
from tests.grading.made import WordsModel, bench, distinct_texts, metric


def rung(kinds: int, documents: int = 12) -> GradedCorpus:
    texts = [f"document on {number % kinds}" for number in range(documents)]
    return GradedCorpus(f"{kinds} kinds", texts, kinds)


LADDER = [rung(1), rung(2), rung(4), rung(12)]


def test_the_right_order_is_one_whichever_way_a_metric_goes():
    up = metric(distinct_texts, "up")
    flat = metric(lambda texts: 3, "flat")
    down = metric(lambda texts: 1 / len(set(texts)), "down", direction="down")
    found = order.order_and_count(bench(up, down, flat), {"made": LADDER})
    assert {name: grade["value"] for name, (grade, _) in found.items()} == pytest.approx(
        {"up": 1.0, "down": 1.0, "flat": 0.0}
    )


def test_the_worst_ladder_is_told_beside_the_mean():
    ladders = {"right": LADDER, "wrong": LADDER[::-1]}
    grade, _ = order.order_and_count(bench(metric(distinct_texts)), ladders)["made"]
    assert grade["ladders"] == pytest.approx({"right": 1.0, "wrong": -1.0})
    assert (grade["value"], grade["worst"]) == pytest.approx((0.0, -1.0))


def test_the_count_error_is_that_of_the_logarithm():
    twice = metric(lambda texts: 2 * len(set(texts)), "twice", effective_number=True)
    found = order.order_and_count(bench(twice, metric(distinct_texts)), {"made": LADDER})
    assert found["twice"][1]["value"] == pytest.approx(math.log(2))
    assert found["made"][1] == {"value": None, "reason": "does not claim to count kinds"}


def test_a_metric_without_a_value_has_its_reason():
    nothing = metric(lambda texts: math.nan, "nothing", effective_number=True)
    grade, count = order.order_and_count(bench(nothing), {"made": LADDER})["nothing"]
    assert grade["value"] is None
    assert "no value for 1 kinds and 3 more: its value is nan" in grade["reason"]
    assert count["value"] is None


@pytest.mark.parametrize(("kinds", "documents"), [(1, 10), (5, 50), (50, 50)])
def test_known_kinds_of_equal_kinds_are_their_number(kinds, documents):
    labels = [f'"{number % kinds}"' for number in range(documents)]
    assert order.known_kinds(labels) == pytest.approx(kinds)


def test_the_ladders_of_the_grammar_hold_what_they_say():
    topics = topic_ladder(64, seed=0)
    assert [corpus.kinds for corpus in topics] == [1, 2, 4, 8, 16, 32]
    assert {len(corpus.texts) for corpus in topics} == {64}
    assert [len(set(corpus.texts)) for corpus in copies_ladder(64, seed=0)] == [4, 8, 16, 32, 64]


def factorial_of_words(documents, seed):
    """Corpora whose texts name the entry of each factor that they have, and nothing else."""
    corpora = []
    for place, row in enumerate(factor_design().rows):
        counts = [
            FACTOR_LEVELS[factor][sign > 0]
            for factor, sign in zip(GRAMMAR_FACTORS, row, strict=True)
        ]
        every = list(itertools.product(*(range(min(count, 3)) for count in counts)))
        texts = [
            " ".join(f"{f}{n}" for f, n in zip(GRAMMAR_FACTORS, e, strict=True)) for e in every
        ]
        corpora.append(GradedCorpus(f"corpus {place}", texts))
    return corpora


def test_a_metric_of_one_factor_sees_that_alone(monkeypatch):
    monkeypatch.setattr(response, "factorial_corpora", factorial_of_words)

    def styles(texts):
        return len({word for text in texts for word in text.split() if word[:6] == "styles"})

    of_styles = metric(styles, "styles")
    of_all = metric(distinct_texts, "all")
    found = response.responses(bench(of_styles, of_all, metric(lambda t: 1, "none")), 1, [0])
    assert found["styles"]["sees"] == "styles"
    assert found["styles"]["value"] == pytest.approx(1)
    assert found["styles"]["effects"]["styles"] == pytest.approx(math.log2(3))
    # topics go from 3 to 3 here, the four others from 1 to 3, each by the same ratio
    shares = found["all"]["shares"]
    assert [shares[factor] for factor in GRAMMAR_FACTORS[1:]] == pytest.approx([0.25] * 4)
    assert found["none"]["value"] is None


def test_the_design_is_of_resolution_five():
    signs = np.array(factor_design().rows)
    columns = [signs[:, [place]].prod(axis=1) for place in range(5)]
    columns += [signs[:, pair].prod(axis=1) for pair in itertools.combinations(range(5), 2)]
    products = np.array(columns) @ np.array(columns).T
    assert np.array_equal(products, 16 * np.eye(15, dtype=int))


def narrow_and_broad_made(documents, seed):
    narrow = [f"{number % 2}" for number in range(documents)]
    broad = [f"{number % 32} {'x ' * 9}" for number in range(documents)]
    return GradedCorpus("narrow", narrow), GradedCorpus("broad", broad)


def test_shifts_are_in_steps_from_narrow_to_broad(monkeypatch):
    monkeypatch.setattr(invariance, "narrow_and_broad", narrow_and_broad_made)
    distinct = metric(distinct_texts, "distinct")
    size = metric(lambda texts: len(texts) * len(set(texts)), "size")
    backwards = metric(distinct_texts, "backwards", direction="down")
    found = invariance.invariances(bench(distinct, size, backwards), 64, 0)
    assert found["distinct"]["value"] == 0
    assert found["distinct"]["copies"] == 0
    # From 2 to 32 kinds are four doublings; half and twice the size are one.
    assert found["size"]["half"] == pytest.approx(1 / 4)
    assert found["size"]["double"] == pytest.approx(1 / 4)
    assert found["size"]["copies"] == pytest.approx(math.log2(1.5) / 4)
    assert found["backwards"]["reason"] == "does not tell a broad corpus from a narrow one"


def test_changed_corpora_are_what_they_are_called():
    texts = [f"word {number} and more" for number in range(80)]
    changed = invariance.changed_corpora(texts)
    assert {name: len(found) for name, found in changed.items()} == {
        "as it is": 40,
        "half": 20,
        "double": 80,
        "shorter": 40,
        "copies": 60,
        **{f"shuffled {number}": 40 for number in range(3)},
    }
    assert changed["shorter"][7] == "word 7"
    assert sorted(changed["shuffled 0"]) == sorted(changed["as it is"]) != changed["shuffled 0"]


def scored_sets(groups=("a", "b"), sets=12):
    return [
        {
            "texts": [f"text {number if k < number else 'same'} {k}" for k in range(sets)],
            "human": float(number),
            "test": "made",
            "task": group,
        }
        for group in groups
        for number in range(sets)
    ]


def test_agreement_with_people_is_by_group():
    def different(texts):
        return len({text.split()[1] for text in texts}) + sum("same" not in t for t in texts)

    found = people.agreement_with_people(
        bench(metric(different), metric(different, "down", direction="down")), scored_sets()
    )
    assert found["made"]["groups"] == pytest.approx({"made a": 1.0, "made b": 1.0})
    assert found["made"]["sets"] == 24
    assert found["down"]["value"] == pytest.approx(-1)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("{", "no set of texts with people's score"),
        ('{"texts": ["a", "b"], "test": "t", "task": "u"}', "human is missing"),
        ('{"texts": ["a"], "human": 1, "test": "t", "task": "u"}', "under two texts"),
    ],
)
def test_a_line_that_is_no_scored_set_is_named(tmp_path, line, says):
    path = tmp_path / "sets.jsonl"
    path.write_text(json.dumps(scored_sets()[0]) + "\n" + line + "\n")
    with pytest.raises(UserError, match=f"sets.jsonl:2: .*{says}"):
        people.read_scored_sets(path)


def test_the_cost_is_what_the_metrics_clock_says(monkeypatch):
    monkeypatch.setattr(cost, "narrow_and_broad", narrow_and_broad_made)
    ticks = itertools.count()
    timed = metric(distinct_texts, "timed", clock=lambda: float(next(ticks)))
    found = cost.costs(bench(timed, metric(lambda texts: math.inf, "none")), 100, 0)["timed"]
    assert found["cpu_seconds"] == pytest.approx(10)  # one second for 100 documents
    assert found["value"] == pytest.approx(10 / found["gzip_cpu_seconds"])
    assert found["embeds"] is False


def study_results(higher_is_better: bool) -> dict:
    return {
        "primary_outcome": "test",
        "outcomes": [{"name": "test", "higher_is_better": higher_is_better}],
        "levels": [
            {"name": corpus.name, "performance": {"test": {"value": float(place)}}}
            for place, corpus in enumerate(LADDER)
        ],
    }


@pytest.mark.parametrize(("higher_is_better", "sign"), [(True, 1), (False, -1)])
def test_correlation_with_training_is_turned_to_better(higher_is_better, sign):
    doublings = metric(lambda texts: {1: 1, 2: 2, 4: 4, 12: 8}[len(set(texts))])
    found = training.correlations_with_training(
        bench(doublings), study_results(higher_is_better), LADDER
    )
    assert found["made"]["value"] == pytest.approx(sign)
    assert (found["made"]["n"], found["made"]["outcome"]) == (4, "test")


def test_a_text_is_embedded_once_whoever_asks():
    model = WordsModel()
    shared = Bench([], model)
    texts = [f"text {number}" for number in range(20)]
    shared.embed(texts)
    for some in (texts, texts[:10], texts[5:] + texts[:5]):
        vectors_NE = shared.inputs(some).vectors_NE
        assert vectors_NE.shape == (len(some), 64)
    assert model.embedded == 20
