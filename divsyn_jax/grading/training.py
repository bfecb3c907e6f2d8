"""Correlation with training: does a metric go with what the corpora of a study did for models?"""

import pathlib

from divsyn_jax import statistics
from divsyn_jax.base.errors import UserError
from divsyn_jax.diversity.sampling import read_sample
from divsyn_jax.grading.bench import Bench, GradedCorpus, reasons
from divsyn_jax.grading.grades import TrainingGrade
from divsyn_jax.study.factorial.cells import scaled
from divsyn_jax.study.recipe import Study
from divsyn_jax.study.study_file import StudyResults, read_study


def read_study_corpora(
    path: pathlib.Path, documents: int, seed: int
) -> tuple[StudyResults, list[GradedCorpus]]:
    """The results in study.json, and samples of the corpora that it names.

    Raises `UserError` for a file that is none, and for a corpus that is gone or another one now.
    """
    results = read_study(path)
    study = Study(results["recipe"], path.absolute().parent)
    levels = {level["name"]: level for level in study.recipe["levels"]}
    corpora = []
    for record in results["levels"]:
        spec = study.corpus(levels[record["name"]])
        sample = read_sample(spec, study.options, documents=documents, label_field=None, seed=seed)
        if sample.fingerprint != record["fingerprint"]:
            raise UserError(
                f"{spec}: not the corpus {record['name']!r} that {path} speaks of; its text has"
                " changed since"
            )
        corpora.append(GradedCorpus(record["name"], sample.texts))
    return results, corpora


def correlations_with_training(
    bench: Bench, results: StudyResults, corpora: list[GradedCorpus]
) -> dict[str, TrainingGrade]:
    """The grades of every metric, by name, with the study's primary outcome."""
    bench.embed((text for corpus in corpora for text in corpus.texts), "corpora of the study")
    values = {corpus.name: bench.values(corpus) for corpus in corpora}
    name = results["primary_outcome"]
    outcome = next(each for each in results["outcomes"] if each["name"] == name)
    better = 1.0 if outcome["higher_is_better"] else -1.0
    performance = [better * level["performance"][name]["value"] for level in results["levels"]]
    grades: dict[str, TrainingGrade] = {}
    for metric in bench.metrics:
        if reason := reasons(values, metric.name):
            grades[metric.name] = {"value": None, "reason": reason}
            continue
        found = [by_metric[metric.name].value for by_metric in values.values()]
        on_scale, _ = scaled([value for value in found if value is not None])
        sign = -1.0 if metric.direction == "down" else 1.0
        r = statistics.pearson([sign * value for value in on_scale], performance)
        if r["estimate"] is None:
            grades[metric.name] = {"value": None, "reason": r["reason"]}
            continue
        grades[metric.name] = {
            "value": r["estimate"],
            "outcome": name,
            "ci_low": r["ci_low"],
            "ci_high": r["ci_high"],
            "p": r["p"],
            "n": r["n"],
            "critical": r["critical"],
        }
    return grades
