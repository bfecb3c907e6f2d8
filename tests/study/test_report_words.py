"""Sentences and axes of a study's page hold for every study, not for the default one alone."""

import pytest

from divsyn_jax.study.reporting import factor_effects, figures, report


def _study(null_control, heldout):
    return {
        "kind": "positive_control",
        "recipe": {"null_control": null_control},
        "heldout": {name: {} for name in heldout},
    }


def test_a_positive_control_names_the_guards_that_it_has():
    both = report._kind_note(_study(["a", "b"], ["grammar", "pydoc"]))
    neither = report._kind_note(_study([], ["seen", "unseen_topics"]))
    assert "null control" in both
    assert "pydoc" in both
    assert "null control" not in neither
    assert "pydoc" not in neither


@pytest.mark.parametrize(
    ("metric", "words"),
    [
        ("effective_clusters", "effective clusters"),
        ("exp_entropy", "exponential of the entropy"),
        ("baselines.compression_ratio", "compression ratio"),
        ("duplicates.near", "near duplicates"),
    ],
)
def test_a_metric_has_the_words_of_the_field(metric, words):
    assert factor_effects._metric_label(metric) == words


@pytest.mark.parametrize("values", [(53.0, 105.0), (60.0, 70.0), (10.0, 100.0)])
def test_a_score_axis_has_ticks_to_read_it_by(values):
    pytest.importorskip("matplotlib")
    from matplotlib.figure import Figure

    levels = [
        {
            "name": name,
            "metrics": {"effective_clusters": {"value": value}},
            "performance": {"o": {"value": 1.0}},
        }
        for name, value in zip("ab", values, strict=True)
    ]
    row = {"metric": "effective_clusters", "performance": "o", "estimate": None, "scale": "log2"}
    study = {"levels": levels, "recipe": {"null_control": []}, "correlations": [row]}
    outcome = {"name": "o", "test": "x/bits_per_byte", "higher_is_better": False}
    figure = Figure()
    axis = figure.subplots()
    figures._scatter(axis, study, "effective_clusters", {**outcome, "noise_floor": None})
    figure.canvas.draw()
    low, high = axis.get_xlim()
    assert len([tick for tick in axis.get_xticks() if low <= tick <= high]) >= 2
