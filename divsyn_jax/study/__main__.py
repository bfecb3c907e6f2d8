"""A diversity study: corpora of different diversity in, models trained on each, one report out.

  python -m divsyn_jax.study --config=configs/studies/tiny.py
  python -m divsyn_jax.study --config=configs/studies/corpora.py \\
      --corpora='a.jsonl.gz b.jsonl.gz' --eval='news=heldout.jsonl'

Parts: prepare (corpora and held-out text, scores, tokenizer, shards); runs (levels x sizes x seeds,
each through its stages); report. Every part leaves files and is skipped when they are there, so the
same command continues after any interruption; launch/sweep.py runs the same parts on a cluster.
Results lie in --workdir (default studies/<name>-<fingerprint of recipe and corpora>): study.json,
report.html, report.png. The keys of a recipe are explained in divsyn_jax/study/recipe.py."""

import contextlib
import dataclasses
import signal
import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from divsyn_jax.base import commandline, files, setting_flags
from divsyn_jax.base.errors import Stopped, UserError
from divsyn_jax.base.setting_flags import Flag
from divsyn_jax.data.readers.corpus import split_corpora
from divsyn_jax.study import local_runner, study_file
from divsyn_jax.study import stages as study_stages
from divsyn_jax.study.controls import advice
from divsyn_jax.study.identity import study_fingerprint
from divsyn_jax.study.recipe import Study, resolve, workdir_of


@dataclasses.dataclass(frozen=True)
class StudyOptions:
    """Which study, of what, and how much of it now.

    Attributes:
      corpora: corpora to study, one level each: paths or globs, separated by spaces;
        quotes inside hold a path with spaces together.
      eval: held-out domains, name=corpus, separated by spaces.
      text_field: field that holds the text in --corpora and --eval; by default the recipe's, which
        is `text`.
      workdir: study directory; by default studies/<name>-<fingerprint>.
      parallel: runs at a time; 0 for as many as fit the GPUs, or else one a core.
    """

    corpora: str = ""
    eval: str = ""
    text_field: str = ""
    workdir: str | None = None
    parallel: Annotated[int, Flag(at_least=0)] = 0


@dataclasses.dataclass(frozen=True)
class _Part:
    """How much of the study.

    Attributes:
      part: what of the study to do.
    """

    part: Literal["all", "prepare", "runs", "report"] = "all"


# launch/sweep.py has these flags, too.
STUDY_OPTIONS = setting_flags.define(
    StudyOptions,
    {"corpora": ["corpora", "eval", "text_field"], "study": ["workdir", "parallel"]},
)
_CONFIG = setting_flags.define_recipe(
    "config",
    "Study recipe, e.g. configs/studies/tiny.py; --config.KEY=VALUE overrides a key.",
)
_PART = setting_flags.define(_Part, "study")


def _slots(study: Study, parallel: int) -> list[local_runner.Slot]:
    """Where runs go on this machine:

    GPUs with as many runs as fit the memory of each, else cores.
    """
    gpus = local_runner.gpus()
    if gpus:
        from divsyn_jax.study import cost as study_cost

        need = max(study_cost.estimate_run(study, run).device_bytes for run in study.runs)
        return local_runner.gpu_slots(gpus, need, parallel)
    return local_runner.cpu_slots(parallel or min(local_runner.cores(), len(study.runs)))


def _print_plan(study: Study, slots: list[local_runner.Slot]) -> None:
    recipe = study.recipe
    print(f"study {recipe['name']} {study_fingerprint(recipe)[:8]} in {study.workdir}")
    sizes = f" x {len(study.sizes)} sizes" if recipe["sizes"] else ""
    pilot = recipe.get("pilot_seeds", ())
    seeds = f"{len(recipe['seeds'])} seeds" + f" and {len(pilot)} of a pilot" * bool(pilot)
    print(
        f"  {len(recipe['levels'])} levels{sizes} x {seeds}, {len(slots)} at a"
        f" time: {', '.join(study.level_names)}"
    )
    print(f"  held-out: {', '.join(recipe['heldout'])}")
    print(
        "  time budget:"
        f" {', '.join(f'{name} {seconds} s' for name, seconds in recipe['budget'].items())}",
        flush=True,
    )


def _advise(study: Study, told: Sequence[str]) -> list[str]:
    """Print what the study should be told before it trains, but for what it was told."""
    found = advice.write_advice(study, sys.argv[1:])
    for line in found:
        if line not in told:
            print(f"ADVICE: {line}", flush=True)
    return found


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """SIGTERM ends the block with `Stopped`, whatever a library makes of the exception on its
    way.
    """
    stop = Stopped("stopped by SIGTERM; run the same command to continue")
    asked = False

    def on_signal(number: int, frame: Any) -> None:
        nonlocal asked
        asked = True
        raise stop

    previous = signal.signal(signal.SIGTERM, on_signal)
    try:
        yield
    except (Exception, Stopped):
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
    options, part = STUDY_OPTIONS.given(), _PART.given().part
    recipe = resolve(
        config.to_dict(),
        split_corpora(options.corpora),
        split_corpora(options.eval),
        options.text_field,
    )
    study = Study(recipe, workdir_of(recipe, options.workdir))
    slots = _slots(study, options.parallel)
    _print_plan(study, slots)
    study_stages.claim_workdir(study)
    told = _advise(study, ())
    if part in ("all", "prepare"):
        study_stages.prepare(study)
        _advise(study, told)
    if part in ("all", "runs"):
        study_stages.train_runs(study, slots)
    if part in ("all", "report"):
        study_stages.with_time(study, "report", lambda: study_stages.report(study))
        _print_findings(study)


def _print_findings(study: Study) -> None:
    took, budget = files.read_json(study.workdir / "timing.json"), study.recipe["budget"]
    print("part             budget   took (s, this and earlier sessions)")
    for part, seconds in took.items():
        print(f"{part:<16} {budget.get(part, 0):>6} {seconds:>6.0f}")
    verdicts = study_file.read_study(study.workdir / "study.json")["verdicts"]
    for judged in (judged for judged in verdicts if judged.source != "paper"):
        print(f"{judged.verdict.kind.upper()}: {judged.statement} ({judged.verdict.reason})")
        if judged.verdict.beside:
            print(f"  these corpora also differ in {'; '.join(judged.verdict.beside)}")
    if claims := sum(judged.source == "paper" for judged in verdicts):
        print(f"and the verdicts on {claims} claims of the paper, in the report")
    print(f"report: {study.workdir / 'report.html'}")


def run() -> None:
    """Console entry."""
    commandline.run(main, __doc__)


if __name__ == "__main__":
    run()
