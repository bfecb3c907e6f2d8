"""Verdicts on made-up studies whose answer is known."""

import json

import numpy as np
import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.statistics import ItemScores
from divsyn_jax.study import study_file
from divsyn_jax.study.correlations import correlations
from divsyn_jax.study.hypotheses import listed
from divsyn_jax.study.hypotheses.evidence import Evidence
from divsyn_jax.study.hypotheses.verdict import Hypothesis, JudgedHypothesis, Kind, Verdict
from divsyn_jax.study.study_file import Outcome

SUPPORTED, NOT_SUPPORTED, CANNOT_TELL = Kind.SUPPORTED, Kind.NOT_SUPPORTED, Kind.CANNOT_TELL

OUTCOMES = [Outcome("text/bits_per_byte", "", "pretrain", "text/bits_per_byte", False)]
SIZES = [
    Outcome(f"{size}/text", size, "pretrain", "text/bits_per_byte", False)
    for size in ("small", "large")
]


def evidence(
    levels: dict[str, tuple[float, ...]],
    /,
    seeds: int = 3,
    outcomes=OUTCOMES,
    corpus_of=str,
    controls_of=None,
    families=None,
    closeness=None,
    unlike_kinds=False,
    **recipe,
) -> Evidence:
    """Levels as {name: (effective clusters, bits per byte of each outcome)}, with little noise;
    `recipe`: keys of it.
    """
    generator = np.random.default_rng(0)
    items, records = {outcome.name: {} for outcome in outcomes}, []
    for name, (clusters, *of_outcomes) in levels.items():
        performance = {}
        for outcome, bits in zip(outcomes, of_outcomes, strict=True):
            noise = 0.01 * generator.standard_normal(
                (1, seeds, 1)
            ) + 0.05 * generator.standard_normal((1, seeds, 80))
            test = ItemScores(bits + noise, np.ones(80))
            items[outcome.name][name] = [test]
            performance[outcome.name] = {"value": float(test.performance_CM.mean()), "ci_low": None}
        of = {"value": clusters, "ci_low": clusters * 0.95, "ci_high": clusters * 1.05}
        metrics = {"effective_clusters": of, "cluster_score": of}
        metrics |= {
            f"baselines.{m}": {"value": None} for m in ("context_length", "compression_ratio")
        }
        metrics |= {
            f"baselines.{m}": {"value": None} for m in ("ngram_diversity", "self_repetition")
        }
        controls = {"length": 100.0, "unique_tokens": 5000.0, "repetition": 1.0}
        controls |= (controls_of or {}).get(name, {})
        record = {
            "name": name,
            "metrics": metrics,
            "performance": performance,
            "controls": controls,
        }
        if families:
            record["family"] = families[name]
        if closeness:
            record["closeness"] = closeness[name]
        records.append({**record, "fingerprint": corpus_of(name), "unique_tokens": 100})
    recipe = {
        "null_control": (),
        "seeds": list(range(seeds)),
        "levels": [{"name": name} for name in levels],
    } | recipe
    rows = correlations(recipe, records, outcomes, unlike_kinds)
    return Evidence(recipe, records, outcomes, items, rows, "effective_clusters")


def verdicts(found: Evidence) -> dict[str, str]:
    return {judged.id: judged.verdict.kind for judged in listed.judge_hypotheses(found)}


def reasons(found: Evidence) -> dict[str, Verdict]:
    return {judged.id: judged.verdict for judged in listed.judge_hypotheses(found)}


TEMPLATES = {"topic": (10, 2.0), "topic_styles": (20, 1.8), "topic_styles_persona": (40, 1.6)}


def test_an_order_that_is_there_is_supported():
    assert verdicts(evidence(TEMPLATES))["templates"] == SUPPORTED


def test_the_opposite_order_is_refuted():
    swapped = {**TEMPLATES, "topic_styles_persona": (40, 2.2)}
    assert verdicts(evidence(swapped))["templates"] == NOT_SUPPORTED


def test_no_difference_cannot_be_told():
    assert (
        verdicts(evidence({name: (clusters, 2.0) for name, (clusters, _) in TEMPLATES.items()}))[
            "templates"
        ]
        == CANNOT_TELL
    )


def test_single_runs_cannot_tell_corpora_apart():
    found = reasons(evidence(TEMPLATES, seeds=1))["templates"]
    assert (found.kind, found.testable) == (CANNOT_TELL, False)
    assert found.reason.startswith("one seed: ")


def test_what_the_study_lacks_is_said():
    found = reasons(evidence(TEMPLATES))
    for claim, reason in (
        ("ratio", "the study has no level ratio_5b"),
        ("score_predicts_sft", "the study has no sft stage"),
        ("size", "the study has one model size"),
    ):
        assert found[claim] == Verdict(CANNOT_TELL, reason, testable=False)


@pytest.mark.parametrize(("slope", "verdict"), [(-0.1, SUPPORTED), (0.1, Kind.OPPOSITE)])
def test_the_direction_of_a_correlation_counts(slope, verdict):
    levels = {f"l{i}": (2.0**i, 2.0 + slope * i) for i in range(1, 7)}
    assert verdicts(evidence(levels))["predicts:text/bits_per_byte"] == verdict


@pytest.mark.parametrize(("corpora", "verdict"), [(4, CANNOT_TELL), (5, SUPPORTED)])
def test_what_is_descriptive_supports_nothing(corpora, verdict):
    found = evidence(
        {f"l{i}": (2.0**i, 3 - 0.2 * i, 3 - 0.4 * i) for i in range(corpora)}, outcomes=SIZES
    )
    assert all(
        row["ci_high"] < 0 for row in found.correlations if row["metric"] == "effective_clusters"
    )
    judged = verdicts(found)
    for claim in ("predicts:small/text", "predicts:large/text", "size"):
        assert judged[claim] == verdict, claim


def test_five_corpora_are_too_few_to_refute_linearity():
    found = evidence({f"l{i}": (float(i), 2.0 - 0.1 * (i - 3) ** 2) for i in range(1, 6)})
    verdict = reasons(found)["linear"]
    assert found.correlations[1]["curvature"]["p"] < 0.05
    assert verdict.kind == CANNOT_TELL
    assert verdict.reason.endswith("over 5 corpora: descriptive only")


@pytest.mark.parametrize(("corpora", "verdict"), [(5, CANNOT_TELL), (6, SUPPORTED)])
def test_so_few_corpora_do_not_rank_metrics(corpora, verdict):
    found = evidence({f"l{i}": (1.0 + i, 3 - 0.5 * i) for i in range(corpora)})
    for level, value in zip(found.levels, (0, 0, 1, 2, 2, 2), strict=False):
        level["metrics"]["baselines.context_length"]["value"] = value
    assert verdicts(found)["baselines_weaker"] == verdict


def test_a_bent_relation_is_not_linear():
    levels = {f"l{i}": (float(i), 2.0 - 0.1 * (i - 4) ** 2) for i in range(1, 8)}
    assert verdicts(evidence(levels))["linear"] == NOT_SUPPORTED


def test_the_null_control_finds_a_difference_that_is_there():
    for other, verdict in ((2.0, SUPPORTED), (2.3, NOT_SUPPORTED)):
        levels = {"one": (10, 2.0), "two": (10, other), "three": (20, 1.0)}
        assert verdicts(evidence(levels, null_control=("one", "two")))["null_control"] == verdict


@pytest.mark.parametrize(
    ("small", "large", "verdict"),
    [
        (-0.1, -0.3, SUPPORTED),
        (-0.3, -0.1, NOT_SUPPORTED),
        (0.1, 0.3, NOT_SUPPORTED),  # the wider spread, with the most diverse corpora the worst
        (0.3, 0.1, NOT_SUPPORTED),  # to lose less is no gain
        (-0.2, -0.2, CANNOT_TELL),
    ],
)
def test_a_gain_from_diversity_has_a_direction(small, large, verdict):
    levels = {f"l{i}": (2.0**i, 3 + small * i, 3 + large * i) for i in range(1, 7)}
    assert verdicts(evidence(levels, outcomes=SIZES))["size"] == verdict


def test_levels_of_one_corpus_are_no_sample_of_corpora():
    levels = {"real_only": (60, 2.0)} | {
        f"ratio_{weight}b": (40, 2 - weight / 40) for weight in (1, 5, 10, 20)
    }
    levels["ratio_34b"] = (40, 2.0)
    found = evidence(levels, corpus_of=lambda name: name.partition("_")[0])
    because = "the study has 2 corpora in 6 levels, and the unit of a correlation is the corpus"
    for row in found.correlations:
        assert (row["estimate"], row["n"], row["reason"]) == (None, 2, because)
    judged = reasons(found)
    for claim in ("predicts:text/bits_per_byte", "score_predicts_pt", "linear", "baselines_weaker"):
        assert judged[claim] == Verdict(CANNOT_TELL, because, testable=False)
    assert judged["ratio"].kind == SUPPORTED


def test_the_null_twin_does_not_stand_in_for_a_corpus():
    levels = {"one": (10, 2.0), "one_twin": (11, 2.0), "two": (20, 1.8), "two_more": (20, 1.6)}
    for corpus_of, corpora in ((str, 3), (lambda name: name.removesuffix("_more"), 2)):
        found = evidence(levels, corpus_of=corpus_of, null_control=("one", "one_twin"))
        assert {(row["n"], row["estimate"] is None) for row in found.correlations[:2]} == {
            (corpora, corpora == 2)
        }


def test_real_text_alone_and_the_null_twin_have_no_part_in_a_gain():
    levels = {f"l{i}": (2.0**i, 3 - 0.1 * i, 3 - 0.3 * i) for i in range(1, 7)}
    levels |= {"l1_twin": (2.1, 3, 9), "real_only": (99, 3, 9)}
    listed = [{"name": name, "synthetic_weight": float(name != "real_only")} for name in levels]
    found = evidence(levels, outcomes=SIZES, levels=listed, null_control=("l1", "l1_twin"))
    assert verdicts(found)["size"] == SUPPORTED


def test_reasons_of_any_wording_say_whether_they_are_a_test():
    """0.1.0 took these for tested, because their sentences begin with a number or a name."""
    levels = {name: (clusters, 2.0) for name, (clusters, _) in TEMPLATES.items()}
    found = evidence(levels)
    for level in found.levels:
        level["metrics"]["effective_clusters"] = {"value": 10.0}
    judged = reasons(found)
    for claim in ("templates", "score_predicts_pt", "linear", "predicts:text/bits_per_byte"):
        assert not judged[claim].testable, (claim, judged[claim].reason)


def test_a_recipe_lists_what_is_asked():
    own = {"id": "mine", "statement": "Topic is the best", "test": "better"}
    own |= {"more": "topic_styles_persona", "less": "topic"}
    found = evidence(TEMPLATES, hypotheses=["templates", own, f"{__name__}:HYPOTHESIS"])
    judged = listed.judge_hypotheses(found)
    assert [(each.id, each.source, each.verdict.kind) for each in judged] == [
        ("templates", "paper", SUPPORTED),
        ("mine", "recipe", SUPPORTED),
        ("of a module", "recipe", NOT_SUPPORTED),
    ]
    assert [JudgedHypothesis.from_json(each.to_json()) for each in judged] == judged
    rising = {"id": "r", "statement": "Rises", "test": "correlates", "metric": "cluster_score"}
    assert listed.judge_hypotheses(evidence(TEMPLATES, hypotheses=[rising]))[0].id == "r"


HYPOTHESIS = Hypothesis(
    "of a module", "recipe", "Never", lambda evidence: Verdict(NOT_SUPPORTED, "as it happens")
)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("template", r"hypotheses\[0\]: 'template' is no hypothesis; known are predicts, .*templ"),
        ({"id": "x", "statement": "y"}, r"hypotheses\[0\].test: missing"),
        ({"id": "x", "statement": "y", "test": "best"}, "test: 'best' is none of correlates, ord"),
        ({"id": "x", "statement": "y", "test": "ordered"}, "levels: missing; test 'ordered' needs"),
        (
            {"id": "x", "statement": "y", "test": "better", "more": "a", "less": "b", "les": "c"},
            "les: unknown key; 'better' takes less, more, stage",
        ),
        ("nowhere:H", "'nowhere:H' cannot be imported"),
        ("json:loads", "cannot|no Hypothesis|not iterable"),
    ],
)
def test_what_is_no_hypothesis_is_refused(entry, message):
    with pytest.raises(UserError, match=message):
        listed.listed({"hypotheses": [entry], "null_control": ()}, OUTCOMES)
    with pytest.raises(UserError, match="two are called 'linear'"):
        listed.listed({"hypotheses": ["paper", "linear"], "null_control": ()}, OUTCOMES)


def test_results_of_0_1_0_are_read(tmp_path):
    """Their verdicts said in words alone whether anything was tested."""
    reasons_of_old = {
        "templates": ("no interval for the scores of topic_styles_persona and topic_styles", False),
        "linear": ("3 corpora are too few; a test for curvature needs at least 5", False),
        "ratio": ("the study has no level ratio_5b", False),
        "size": ("gain per doubling of effective clusters, x -0.1 [-0.3, +0.1]", True),
    }
    record = {key: {} for key in study_file.StudyResults.__required_keys__ - {"format"}}
    record["verdicts"] = [
        {"id": name, "of": "paper", "hypothesis": "h", "verdict": "cannot tell", "because": reason}
        for name, (reason, _) in reasons_of_old.items()
    ]
    path = tmp_path / "study.json"
    path.write_text(json.dumps(record))
    read = study_file.read_study(path)
    assert {judged.id: judged.verdict.testable for judged in read["verdicts"]} == {
        name: testable for name, (_, testable) in reasons_of_old.items()
    }
    del record["levels"]
    path.write_text(json.dumps(record))
    with pytest.raises(UserError, match="'levels' is missing"):
        study_file.read_study(path)


PREDICTS = "predicts:text/bits_per_byte"


def test_what_overturned_a_relation_stands_in_the_verdict():
    lone = {f"l{i}": (2.0 ** (4 + 0.1 * i), 2.0 + 0.02 * (i % 2)) for i in range(7)}
    found = reasons(evidence({**lone, "far": (500.0, 1.0)}))[PREDICTS]
    assert found.kind == CANNOT_TELL
    assert ", but " in found.reason
    assert "without that corpus r = " in found.reason


def test_scores_that_tie_support_nothing():
    """Eight scores within their own errors, which performance follows to the letter."""
    tied = {f"l{i}": (10 + 0.05 * i, 2 - 0.1 * i) for i in range(8)}
    found = reasons(evidence(tied))[PREDICTS]
    assert found.kind == CANNOT_TELL
    assert "the scores are not told apart" in found.reason


@pytest.mark.parametrize(
    ("factor", "kind", "words"), [(1.4, CANNOT_TELL, "length"), (1.005, SUPPORTED, "")]
)
def test_a_rival_overturns_where_it_differs(factor, kind, words):
    """Length rises with diversity: by 40% a rung, or by half a percent."""
    levels = {f"l{i}": (2.0**i, 3 - 0.2 * i) for i in range(1, 9)}
    controls = {f"l{i}": {"length": 100 * factor**i} for i in range(1, 9)}
    found = reasons(evidence(levels, controls_of=controls))[PREDICTS]
    assert found.kind == kind
    assert words in found.reason
    built_in = evidence(levels, controls_of=controls, kind="positive_control")
    assert reasons(built_in)[PREDICTS].kind == SUPPORTED


def test_repetition_is_named():
    """u0100x20 against u2000x01: the same tokens, a 20th of the text."""
    levels = {f"l{i}": (2.0**i, 3 - 0.2 * i) for i in range(1, 9)}
    controls = {
        f"l{i}": {"unique_tokens": 100 * 2.0**i, "repetition": 2.0**-i} for i in range(1, 9)
    }
    found = reasons(evidence(levels, controls_of=controls))[PREDICTS]
    assert found.kind == CANNOT_TELL
    assert "repetition" in found.reason


def families(within: tuple[float, float], between: float) -> Evidence:
    """Two families of five corpora, with slopes of their own."""
    levels, names = {}, {}
    for place, slope in enumerate(within):
        for i in range(5):
            levels[f"f{place}_{i}"] = (2.0 ** (2 + 5 * place + i), 3 + between * place + slope * i)
            names[f"f{place}_{i}"] = f"family{place}"
    return evidence(levels, families=names)


def test_effects_are_taken_within_families():
    better, worse = -0.2, 0.2
    simpson = reasons(families((worse, worse), -3.0))[PREDICTS]
    assert simpson.kind == Kind.OPPOSITE
    assert "between families -" in simpson.reason
    assert "slope within families +" in simpson.reason
    hidden = reasons(families((better, better), 3.0))[PREDICTS]
    assert hidden.kind == SUPPORTED
    opposite = reasons(families((better, worse), 0.0))[PREDICTS]
    assert opposite.kind == Kind.DEPENDS
    assert "family0 -" in opposite.reason
    assert "family1 +" in opposite.reason


def test_two_groups_far_apart_are_two_points():
    found = families((0.2, 0.2), -3.0)
    levels = {
        level["name"]: (
            level["metrics"]["effective_clusters"]["value"]
            * (1024 if "f1" in level["name"] else 1),
            level["performance"]["text/bits_per_byte"]["value"],
        )
        for level in found.levels
    }
    verdict = reasons(evidence(levels))[PREDICTS]
    assert verdict.kind == CANNOT_TELL
    assert "two groups far apart" in verdict.reason


def test_outcomes_are_corrected_for_their_number():
    generator = np.random.default_rng(3)
    outcomes = [
        Outcome(f"text{k}/bits_per_byte", "", "pretrain", "text/bits_per_byte", False)
        for k in range(6)
    ]
    levels = {
        f"l{i}": (2.0**i, 3 - 0.05 * i, *(3 + 0.3 * generator.standard_normal(5))) for i in range(6)
    }
    rows = [
        row
        for row in evidence(levels, outcomes=outcomes).correlations
        if row["metric"] == "effective_clusters"
    ]
    assert {row["p_holm_over"] for row in rows} == {6}
    assert rows[0]["p_holm"] == pytest.approx(min(1, 6 * rows[0]["p"]))
