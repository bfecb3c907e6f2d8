"""A diversity study: corpora of different diversity in, models trained on each, one report out.

  python -m divsyn_jax.study --config=configs/studies/tiny.py
  python -m divsyn_jax.study --config=configs/studies/corpora.py --corpora='a.jsonl.gz b.jsonl.gz' --eval='news=heldout.jsonl'

Parts: prepare (corpora and held-out text, scores, tokenizer, shards); runs (levels x sizes x seeds,
each through its stages); report. Every part leaves files and is skipped when they are there, so the
same command continues after any interruption; launch/sweep.py runs the same parts on a cluster.
Results lie in --workdir (default studies/<name>-<fingerprint of recipe and corpora>): study.json,
report.html, report.png. The keys of a recipe are explained in divsyn_jax/study/recipe.py."""

import contextlib
import signal
from collections.abc import Iterator
from typing import Any

from absl import flags
from ml_collections import config_flags

from divsyn_jax.base import commandline, files
from divsyn_jax.base.commandline import Unfinished, UserError
from divsyn_jax.study import local_runner, study_file
from divsyn_jax.study import stages as study_stages
from divsyn_jax.study.identity import fingerprint
from divsyn_jax.study.recipe import Study, resolve, workdir_of

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Study recipe, e.g. configs/studies/tiny.py.", lock_config=True
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Study directory [studies/<name>-<fingerprint>].")
_CORPORA = flags.DEFINE_string(
    "corpora", "", "Corpora to study, one level each: paths or globs, separated by spaces."
)
_EVAL = flags.DEFINE_string("eval", "", "Held-out domains, name=corpus, separated by spaces.")
_TEXT_FIELD = flags.DEFINE_string(
    "text_field", "", "Field that holds the text in --corpora and --eval [text]."
)
_PARALLEL = flags.DEFINE_integer(
    "parallel", 0, "Runs at a time [as many as fit the GPUs, else one a core].", 0
)
_PART = flags.DEFINE_enum(
    "part", "all", ["all", "prepare", "runs", "report"], "What of the study to do."
)


def _slots(study: Study) -> list[local_runner.Slot]:
    """Where runs go on this machine:

    GPUs with as many runs as fit the memory of each, else cores.
    """
    gpus = local_runner.gpus()
    if gpus:
        from divsyn_jax.study import cost as study_cost

        need = max(study_cost.estimate(study, run).device_bytes for run in study.runs)
        return local_runner.gpu_slots(gpus, need, _PARALLEL.value)
    return local_runner.cpu_slots(_PARALLEL.value or min(local_runner.cores(), len(study.runs)))


def _print_plan(study: Study, slots: list[local_runner.Slot]) -> None:
    recipe = study.recipe
    print(f"study {recipe['name']} {fingerprint(recipe)[:8]} in {study.workdir}")
    sizes = f" x {len(study.sizes)} sizes" if recipe["sizes"] else ""
    print(
        f"  {len(recipe['levels'])} levels{sizes} x {len(recipe['seeds'])} seeds, {len(slots)} at a"
        f" time: {', '.join(study.level_names)}"
    )
    print(f"  held-out: {', '.join(recipe['heldout'])}")
    print(
        "  time budget:"
        f" {', '.join(f'{name} {seconds} s' for name, seconds in recipe['budget'].items())}",
        flush=True,
    )


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM ends the block with `Unfinished`, whatever a library makes of the exception on its
    way.
    """
    stop = Unfinished("stopped by SIGTERM; run the same command to continue")
    asked = False

    def on_signal(number: int, frame: Any) -> None:
        nonlocal asked
        asked = True
        raise stop

    previous = signal.signal(signal.SIGTERM, on_signal)
    try:
        yield
    except Exception:
        if asked:
            raise stop from None
        raise
    finally:
        signal.signal(signal.SIGTERM, previous)


@_stoppable()
def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    if arguments:
        raise UserError(
            f"unexpected argument {arguments[0]!r}; corpora are given as --corpora='A B'"
        )
    config = commandline.require(_CONFIG.value, "config", "configs/studies/tiny.py")
    recipe = resolve(
        config.to_dict(), _CORPORA.value.split(), _EVAL.value.split(), _TEXT_FIELD.value
    )
    study = Study(recipe, workdir_of(recipe, _WORKDIR.value))
    slots = _slots(study)
    _print_plan(study, slots)
    study_stages.claim_workdir(study)
    if _PART.value in ("all", "prepare"):
        study_stages.prepare(study)
    if _PART.value in ("all", "runs"):
        study_stages.train(study, slots)
    if _PART.value in ("all", "report"):
        study_stages.with_time(study, "report", lambda: study_stages.report(study))
        _print_findings(study)


def _print_findings(study: Study) -> None:
    took, budget = files.read_json(study.workdir / "timing.json"), study.recipe["budget"]
    print("part             budget   took (s, this and earlier sessions)")
    for part, seconds in took.items():
        print(f"{part:<16} {budget.get(part, 0):>6} {seconds:>6.0f}")
    verdicts = study_file.read(study.workdir / "study.json")["verdicts"]
    for judged in (judged for judged in verdicts if judged.source != "paper"):
        print(f"{judged.verdict.kind.upper()}: {judged.statement} ({judged.verdict.reason})")
    if claims := sum(judged.source == "paper" for judged in verdicts):
        print(f"and the verdicts on {claims} claims of the paper, in the report")
    print(f"report: {study.workdir / 'report.html'}")


if __name__ == "__main__":
    commandline.run(main, __doc__)
