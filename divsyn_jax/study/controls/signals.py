"""Which outcome has signal: its spread over corpora beside the noise of seeds, and beside the same
measure of wrong answers; and the primary outcome, chosen by both on pilot seeds alone.

Seeds alone mislead: a measure of answers may rise steeply with anything that fits their wording,
and then rises for wrong answers alike. Such an outcome counts where what the right answer has
beyond the wrong ones still tells the corpora apart."""

import math
from collections.abc import Sequence

import numpy as np

from divsyn_jax.base import files
from divsyn_jax.statistics.signal_to_noise import signal_to_noise
from divsyn_jax.study.controls.answers import OUTCOME_MEASURES
from divsyn_jax.study.controls.choices import answers_by_level, by_item
from divsyn_jax.study.outcomes import answer_measure, outcomes, value_of_test
from divsyn_jax.study.recipe import Run, Study
from divsyn_jax.study.study_file import Outcome, OutcomeSignal, PilotRecord

# Over one corpus's seeds, two or three of which rarely make noise look like this.
LEAST_SIGNAL = 2.0
PILOT_FILE = "pilot.json"
_RULE = (
    f"the greatest signal-to-noise ratio over the pilot seeds, at least {LEAST_SIGNAL:g}, among"
    " outcomes whose ratio is as much for what the right answer has beyond wrong ones, where they"
    " have wrong answers; the first held-out text where there is none"
)


def outcome_signals(study: Study, seeds: Sequence[int]) -> list[OutcomeSignal]:
    """Signal and noise of every outcome of the study over these seeds, twins left out; empty for
    one seed."""
    if len(seeds) < 2:
        return []
    twins = study.recipe["null_control"][1:]
    names = [name for name in study.level_names if name not in twins]
    return [_signal(study, outcome, names, seeds) for outcome in outcomes(study)]


def _signal(
    study: Study, outcome: Outcome, names: Sequence[str], seeds: Sequence[int]
) -> OutcomeSignal:
    values = [
        [
            value_of_test(study.run_dir(Run(outcome.size, name, seed), outcome.stage), outcome.test)
            for seed in seeds
        ]
        for name in names
    ]
    found = signal_to_noise(values)
    control = _beyond_wrong_answers(study, outcome, names, seeds)
    enough = [_or_endless(found["ratio"])] + ([] if control is None else [control])
    return OutcomeSignal(
        outcome=outcome.name,
        signal=found["signal"],
        noise=found["noise"],
        ratio=found["ratio"],
        by_level=dict(zip(names, found["by_level"], strict=True)),
        equal_noise_p=found["equal_noise_p"],
        beyond_wrong=control,
        counts=min(enough) >= LEAST_SIGNAL,
    )


def _or_endless(ratio: float | None) -> float:
    return math.inf if ratio is None else ratio


def _beyond_wrong_answers(
    study: Study, outcome: Outcome, names: Sequence[str], seeds: Sequence[int]
) -> float | None:
    """The same ratio of the measure of right answers less that of wrong ones; None where the
    outcome has no such control."""
    key = answer_measure(outcome.test)
    if key is None or key == "above_chance":
        return None
    answers = answers_by_level(study, outcome.size, outcome.stage, names, seeds)
    if not answers:
        return None
    right_LMI, wrong_LMI = by_item(answers, OUTCOME_MEASURES[key])
    beyond_LM = np.subtract(right_LMI, wrong_LMI).mean(axis=-1)
    return _or_endless(signal_to_noise(beyond_LM.tolist())["ratio"])


def choose_primary(signals: Sequence[OutcomeSignal]) -> str:
    """The outcome that decides, by `_RULE`."""
    counting = [each for each in signals if each["counts"]]
    if counting:
        return max(counting, key=lambda each: _or_endless(each["ratio"]))["outcome"]
    return next(each["outcome"] for each in signals if each["outcome"].endswith("/bits_per_byte"))


def record_pilot(study: Study) -> PilotRecord | None:
    """Choose the primary outcome on the pilot seeds, once: the record stays as it is written.

    None for a study whose recipe names its primary outcome itself."""
    if study.recipe["primary"] != "pilot":
        return None
    record = study.workdir / PILOT_FILE
    if not record.exists():
        seeds = list(study.recipe["pilot_seeds"])
        signals = outcome_signals(study, seeds)
        chosen = choose_primary(signals)
        files.write_json(
            record, {"seeds": seeds, "rule": _RULE, "primary": chosen, "signals": signals}
        )
    found: PilotRecord = files.read_json(record)
    return found
