"""Outcomes from stored log-likelihoods, their signal beside their noise, and the primary outcome
that pilot seeds choose."""

import json

import numpy as np
import pytest

from configs.studies import tiny
from divsyn_jax.base.commandline import UserError
from divsyn_jax.statistics.signal_to_noise import signal_to_noise
from divsyn_jax.study import checks, outcomes
from divsyn_jax.study.controls import signals
from divsyn_jax.study.controls.answers import OUTCOME_MEASURES, Answers, of_right, of_wrong
from divsyn_jax.study.recipe import Run, Study
from divsyn_jax.study.reporting.figures import outcome_label
from divsyn_jax.study.reporting.signals import signal_parts


def recipe(**changes):
    found = tiny.get_config().to_dict()
    found.update(primary="pilot", pilot_seeds=(10, 11, 12), stages=("pretrain", "evaluate"))
    found.update(outcomes=("probability", "minus_bits_per_byte", "margin", "above_chance"))
    found.update(changes)
    return found


def write_run(study, run, generator, wording=0.0, knowing=0.0, heldout=0.0):
    """A run as evaluation leaves it: `wording` and `knowing` are nats that the level adds to every
    answer and to the right one, `heldout` bits a byte that it takes off."""
    level = study.level_names.index(run.level)
    folder = study.run_dir(run)
    (folder / "eval").mkdir(parents=True)
    domains = {
        name: {"bits_per_byte": 3 - heldout * level + 0.02 * generator.standard_normal()}
        for name in study.recipe["heldout"]
    }
    rows, rights = [], []
    base = np.random.default_rng(0).normal(-40, 2, (60, 4))  # the same items for every run
    # Noise of a run: all its answers are likelier, or less so.
    base = base + 0.3 * generator.standard_normal() + wording * level
    for number, values in enumerate(base + 0.3 * generator.standard_normal((60, 4))):
        values[1] += knowing * level
        rights.append(float(values.argmax() == 1))
        rows.append({"item": number, "target": "1", "answers": [[v, False] for v in values],
                     "answer_bytes": [20] * 4, "value": rights[-1]})  # fmt: skip
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "eval" / "items.jsonl").write_text(text)
    tasks = {"items": {"value": float(np.mean(rights))}}
    (folder / "eval.json").write_text(json.dumps({"domains": domains, "tasks": tasks}))


def study_of(workdir, seed=0, **gains):
    study = Study(recipe(), workdir)
    generator = np.random.default_rng(seed)
    for run in study.runs:
        write_run(study, run, generator, **gains)
    return study


def by_name(found):
    return {each["outcome"]: each for each in found}


def test_signal_and_noise_are_those_that_made_the_values():
    generator = np.random.default_rng(0)
    true, noise = generator.normal(0, 3, 40), generator.normal(0, 0.5, (40, 5))
    found = signal_to_noise(true[:, None] + noise)
    assert found["noise"] == pytest.approx(0.5, rel=0.1)
    assert found["signal"] == pytest.approx(true.std(ddof=1), rel=0.05)
    assert found["ratio"] == pytest.approx(found["signal"] / found["noise"])
    assert found["equal_noise_p"] > 0.05
    uneven = signal_to_noise(true[:, None] + noise * np.where(np.arange(40) < 20, 1, 8)[:, None])
    assert uneven["equal_noise_p"] < 1e-3
    assert np.median(uneven["by_level"][:20]) > 4 * np.median(uneven["by_level"][20:])
    nothing = [signal_to_noise(generator.standard_normal((8, 3)))["ratio"] for _ in range(200)]
    assert np.mean(np.array(nothing) >= signals.LEAST_SIGNAL) < 0.01
    with pytest.raises(ValueError, match="two of each"):
        signal_to_noise([[1.0], [2.0]])


def test_measures_of_one_question_by_hand():
    answers = Answers([np.log(0.2), np.log(0.1), np.log(0.1)], [1, 1, 2], 0)
    values = {key: of_right(measure, answers) for key, measure in OUTCOME_MEASURES.items()}
    assert values["probability"] == pytest.approx(0.5)
    assert values["minus_bits_per_byte"] == pytest.approx(np.log2(0.2))
    # A byte: log2 of 0.2, 0.1 and sqrt(0.1), the likeliest.
    assert values["margin"] == pytest.approx(np.log2(0.2) - np.log2(0.1) / 2)
    assert values["above_chance"] == pytest.approx(-0.5)
    assert of_wrong(OUTCOME_MEASURES["probability"], answers) == pytest.approx(0.25)


def test_outcomes_of_answers_are_those_of_their_items(tmp_path):
    study = study_of(tmp_path, knowing=1.0)
    found = {each.name: each for each in outcomes.outcomes(study)}
    assert next(iter(found)) == "grammar/bits_per_byte"  # nothing is chosen yet
    for key in ("probability", "above_chance"):
        outcome = found[f"tasks/{key}"]
        assert outcome.higher_is_better
        items = outcomes.items_of(study, outcome)["breadth_4"][0]
        run = study.run_dir(Run("", "breadth_4", 1))
        expected = pytest.approx(items.performance_CM[0, 1])
        assert outcomes.value_of_test(run, outcome.test) == expected
    chance = outcomes.value_of_test(run, "tasks/above_chance")
    accuracy = outcomes.value_of_test(run, "tasks/mean")
    assert chance == pytest.approx((accuracy - 0.25) / 0.75)


def test_wording_has_signal_and_does_not_count(tmp_path):
    study = study_of(tmp_path, wording=4.0)
    found = by_name(signals.outcome_signals(study, (0, 1, 2)))
    bits = found["tasks/minus_bits_per_byte"]
    assert bits["ratio"] > 5
    assert bits["beyond_wrong"] < signals.LEAST_SIGNAL
    assert not bits["counts"]
    assert "breadth_4_twin" not in bits["by_level"]
    assert found["tasks/above_chance"]["beyond_wrong"] is None
    assert signals.record_pilot(study)["primary"].endswith("/bits_per_byte")


def test_the_pilot_chooses_what_counts_and_never_again(tmp_path):
    study = study_of(tmp_path, wording=4.0, knowing=3.0, heldout=0.01)
    chosen = signals.record_pilot(study)
    assert chosen["seeds"] == [10, 11, 12]
    primary = by_name(chosen["signals"])[chosen["primary"]]
    assert primary["counts"]
    assert chosen["primary"].startswith("tasks/")
    assert outcomes.outcomes(study)[0].name == chosen["primary"]
    assert {run.seed for run in study.measured} == {0, 1, 2}
    assert [run.seed for run in study.runs][:6] == [10] * 6
    # Other results of the study's own seeds change nothing; nor do other pilot runs, once chosen.
    for run in study.measured:
        (study.run_dir(run) / "eval.json").unlink()
    assert signals.record_pilot(study) == chosen


def test_the_choice_does_not_read_the_results(tmp_path):
    study = study_of(tmp_path, heldout=0.5)
    for run in study.measured:
        (study.run_dir(run) / "eval.json").unlink()
    assert signals.record_pilot(study)["primary"].endswith("/bits_per_byte")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"pilot_seeds": ()}, "give both or neither"),
        ({"primary": "heldout"}, "give both or neither"),
        ({"pilot_seeds": (7,)}, "two or more"),
        ({"pilot_seeds": (0, 7)}, "none of them of config.seeds"),
        ({"outcomes": ("luck",)}, "'luck' is none of probability"),
        ({"tasks": (), "task_data": ""}, "config.outcomes are measures of answers"),
    ],
)
def test_outcomes_and_pilots_that_cannot_be_are_refused(changes, said):
    checks.check_recipe(recipe())
    with pytest.raises(UserError, match=said):
        checks.check_recipe(recipe(**changes))


def test_answers_without_bytes_are_named(tmp_path):
    folder = tmp_path / "run"
    (folder / "eval").mkdir(parents=True)
    (folder / "eval.json").write_text('{"domains": {}, "tasks": {"items": {"value": 1}}}')
    row = {"item": 0, "target": "1", "answers": [[-1.0, False], [-2.0, True]]}
    (folder / "eval" / "items.jsonl").write_text(json.dumps(row) + "\n")
    assert 0 < outcomes.value_of_test(folder, "tasks/probability") < 1
    with pytest.raises(UserError, match=r"items.jsonl: tasks/margin needs .* and their bytes"):
        outcomes.value_of_test(folder, "tasks/margin")


def test_the_page_shows_signal_beside_its_control(tmp_path):
    study = study_of(tmp_path, wording=4.0)
    found = signals.outcome_signals(study, (0, 1, 2))
    page = "".join(map(str, signal_parts({"signals": found, "pilot": signals.record_pilot(study)})))
    assert "chosen on the pilot seeds" in page
    assert "minus bits a byte of the answer" in page
    assert signal_parts({}) == []
    assert outcome_label("sft/tasks/margin").startswith("after fine-tuning: margin to the best")
