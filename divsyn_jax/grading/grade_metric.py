"""Grade a metric of diversity: is what it measures diversity, and of which kind?

  grade_metric --metric=my_metrics:mean_novelty --output=grades
  grade_metric --metric=all --output=grades --people=human_sets.jsonl.gz \\
      --ladders=ladders.json --label_field=prompts=prompt

A metric is a Python function of a list of texts to a number, named as module:function (the current
folder is looked into first), one of ours by its name, or all. It runs in a process of its own,
by --python in another environment. OUTPUT/grades.json, grades.md and report.html get its order on
ladders of known diversity, the error of its count, its response to each factor of a factorial
design, its agreement with people, its invariance to what should not matter, its cost beside
gzip's, and its correlation with training in a study; what lacks its data has a reason in place of
a number. Without files of your own, corpora come from the built-in grammar. Each text is embedded
once; a stopped command, repeated, embeds nothing twice.
"""

import contextlib
import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from divsyn_jax.base import commandline, files, setting_flags
from divsyn_jax.base.errors import UserError
from divsyn_jax.data.readers import flags as corpus_flags
from divsyn_jax.grading.settings import ALL_METRICS, GradeSettings

if TYPE_CHECKING:
    from divsyn_jax.embedding.models import EmbeddingModel
    from divsyn_jax.grading.bench import Bench, GradedMetric
    from divsyn_jax.grading.grades import MetricGrades

_GRADES = setting_flags.define(
    GradeSettings,
    {
        "corpora": [
            *("ladders", "label_field", "people", "study", "documents", "factorial_seeds", "seed"),
        ],
        "agent": ["metric", "direction", "effective_number", "python", "embedding_model"],
        "output": ["output", "embedding_cache"],
    },
)
setting_flags.adopt(corpus_flags)

WRITTEN_GRADES = ("grades.json", "grades.md", "report.html")
_Grade = TypeVar("_Grade")


def run() -> None:
    """Console entry."""
    commandline.run(main, __doc__)


def main(arguments: list[str]) -> None:
    """Grade the metrics that the flags name."""
    if arguments:
        raise UserError(f"{arguments[0]}: corpora are given by --ladders, --people and --study")
    settings, read = _GRADES.given(), corpus_flags.read_options()
    if settings.output.exists() and not settings.output.is_dir():
        raise UserError(f"--output={settings.output}: exists and is not a folder; name another")
    for name in WRITTEN_GRADES:
        files.check_no_folder(settings.output / name)
    commandline.stop_on_sigterm()
    # Only now the imports that cost time: --help and usage errors answer at once.
    from divsyn_jax.embedding import models
    from divsyn_jax.grading import grades, report
    from divsyn_jax.grading.bench import Bench
    from divsyn_jax.grading.order import read_ladders
    from divsyn_jax.grading.people import read_scored_sets

    with contextlib.ExitStack() as stack:
        metrics = _metrics(settings, stack)
        reads_vectors = any(metric.needs_vectors for metric in metrics)
        model = models.load(settings.embedding_model) if reads_vectors else None
        # Every file is read before anything is written.
        ladders = read_ladders(settings, read)
        sets = None if settings.people is None else read_scored_sets(settings.people)
        study = None
        if settings.study is not None:
            from divsyn_jax.grading.training import read_study_corpora

            study = read_study_corpora(settings.study, settings.documents, settings.seed)
        stack.enter_context(files.kept_directory(settings.output))
        cache = settings.embedding_cache or settings.output / "embeddings"
        bench = Bench(metrics, model, str(cache), settings.seed)
        found = _grade(bench, settings, ladders, sets, study)
        result: grades.Grades = {
            "format": grades.GRADES_FORMAT,
            "settings": _in_json(settings),
            "embedding_model": _name_of(model),
            "metrics": found,
        }
        grades.write_grades(result, settings.output / "grades.json")
        files.write_text(settings.output / "grades.md", report.grades_table(result))
        files.write_text(settings.output / "report.html", report.render_grades(result))
    print(report.grades_table(result))
    print(f"Report: {settings.output / 'report.html'}")


def _metrics(settings: GradeSettings, stack: contextlib.ExitStack) -> list["GradedMetric"]:
    """The metrics asked for; processes of foreign ones end with the stack."""
    from divsyn_jax.grading.foreign import foreign_metric
    from divsyn_jax.grading.known_metrics import known_metrics

    known = known_metrics()
    chosen: dict[str, GradedMetric] = {}
    for name in map(str.strip, settings.metric):
        if name == ALL_METRICS:
            chosen |= known
        elif name in known:
            chosen[name] = known[name]
        elif ":" in name:
            if name not in chosen:
                chosen[name] = stack.enter_context(foreign_metric(name, settings))
        else:
            raise UserError(
                f"--metric={name}: give module:function, {ALL_METRICS}, or some of"
                f" {','.join(known)}"
            )
    return list(chosen.values())


def _grade(
    bench: "Bench", settings: GradeSettings, ladders: Any, sets: Any, study: Any
) -> list["MetricGrades"]:
    from divsyn_jax.grading import cost, invariance, order, people, response, training

    seeds = range(settings.seed, settings.seed + settings.factorial_seeds)
    documents, seed = settings.documents, settings.seed

    def part(name: str, make: Callable[[], Mapping[str, _Grade]]) -> Mapping[str, _Grade]:
        print(f"[{name}] {len(bench.metrics)} metrics", flush=True)
        return make()

    ordered = part("order", lambda: order.order_and_count(bench, ladders))
    _check_any_value(bench, ordered)
    response_of = part("response", lambda: response.responses(bench, documents, seeds))
    invariance_of = part("invariance", lambda: invariance.invariances(bench, documents, seed))
    people_of = training_of = None
    if sets is not None:
        people_of = part("people", lambda: people.agreement_with_people(bench, sets))
    if study is not None:
        training_of = part("training", lambda: training.correlations_with_training(bench, *study))
    cost_of = part("cost", lambda: cost.costs(bench, documents, seed))
    return [
        {
            "metric": metric.name,
            "source": metric.source,
            "direction": metric.direction,
            "effective_number": metric.effective_number,
            "order": ordered[metric.name][0],
            "count": ordered[metric.name][1],
            "response": response_of[metric.name],
            "people": (
                {"value": None, "reason": "no sets that people scored (--people)"}
                if people_of is None
                else people_of[metric.name]
            ),
            "invariance": invariance_of[metric.name],
            "cost": cost_of[metric.name],
            "training": (
                {"value": None, "reason": "no study (--study)"}
                if training_of is None
                else training_of[metric.name]
            ),
        }
        for metric in bench.metrics
    ]


def _check_any_value(bench: "Bench", ordered: Mapping[str, Sequence[Any]]) -> None:
    """Raise `UserError` where a metric of somebody's has no value on any ladder: it is broken."""
    for metric in bench.metrics:
        grade = ordered[metric.name][0]
        if grade["value"] is None and ":" in metric.name:
            raise UserError(f"--metric={metric.name}: {grade['reason']}")


def _name_of(model: "EmbeddingModel | None") -> str | None:
    return None if model is None else model.name


def _in_json(settings: GradeSettings) -> dict[str, Any]:
    return {
        name: str(value) if isinstance(value, pathlib.Path) else value
        for name, value in dataclasses.asdict(settings).items()
    } | {"metric": list(settings.metric)}


if __name__ == "__main__":
    run()
