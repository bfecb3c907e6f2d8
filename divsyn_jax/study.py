"""A diversity study: corpora of different diversity in, models trained on each, one report out.

  python -m divsyn_jax.study --config=configs/studies/tiny.py
  python -m divsyn_jax.study --config=configs/studies/corpora.py --corpora='a.jsonl.gz b.jsonl.gz' --eval='news=heldout.jsonl'

Stages: corpora and held-out text; scores; tokenizer and shards; training runs (levels x seeds); evaluation; report. Every
stage leaves files and is skipped when they are there, so the same command continues after any interruption. Results lie in
--workdir (default studies/<name>-<fingerprint of recipe and corpora>): study.json, report.html, report.png.

Keys of a study recipe:
  name, kind: label; 'positive_control' (the outcome is largely built in) or 'observation'.
  levels: corpora written by the built-in grammar: name, topics, styles, personas, seed; `documents` in each.
  corpora: corpora given by the user, one level each (--corpora).
  null_control: names of two levels that differ in nothing but the seed, or empty.
  real, real_weight, synthetic_weight: text mixed into every run ('pydoc', a corpus, or '' for none) and token weights.
  heldout, heldout_documents: domains to evaluate on ('grammar', 'pydoc', name=corpus; --eval), documents of each.
  seeds: of the training runs; every level is trained once a seed.
  vocab_size: of the one tokenizer, trained on equal bytes of every level and of the real text.
  score: settings of score_corpus. train: the run recipe and the keys it overrides. budget: seconds a stage should take.
"""

import dataclasses
import glob
import hashlib
import json
import math
import os
import pathlib
import platform
import re
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags
from ml_collections import config_flags

from divsyn_jax import commandline, files, local_runner, statistics, study_data, study_report
from divsyn_jax.commandline import UserError
from divsyn_jax.data.corpus import ReadOptions, split_name
from divsyn_jax.data.shard_builder import build_shards
from divsyn_jax.data.tokenizer_trainer import train_tokenizer
from divsyn_jax.local_runner import Job

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Study recipe, e.g. configs/studies/tiny.py.", lock_config=True
)
_WORKDIR = flags.DEFINE_string("workdir", None, "Study directory [studies/<name>-<fingerprint>].")
_CORPORA = flags.DEFINE_string("corpora", "", "Corpora to study, one level each: paths or globs, separated by spaces.")
_EVAL = flags.DEFINE_string("eval", "", "Held-out domains, name=corpus, separated by spaces.")
_TEXT_FIELD = flags.DEFINE_string("text_field", "", "Field that holds the text in --corpora and --eval [text].")
_PARALLEL = flags.DEFINE_integer("parallel", 0, "Runs at a time [one a core].", lower_bound=0)

STAGES = ("corpora", "score", "tokenise", "train", "evaluate", "report")
# Every metric that performance is set against; effective clusters, the primary one, on a log scale.
METRICS = (
    "effective_clusters",
    "cluster_score",
    "baselines.context_length",
    "baselines.compression_ratio",
    "baselines.ngram_diversity",
    "baselines.self_repetition",
)
PRIMARY_METRIC = METRICS[0]
_ROOT = pathlib.Path(__file__).resolve().parent.parent


@dataclasses.dataclass(frozen=True)
class Study:
    """A resolved study: the recipe as a plain dict and where everything lies."""

    recipe: Mapping[str, Any]
    workdir: pathlib.Path
    parallel: int

    @property
    def options(self) -> ReadOptions:
        return ReadOptions(text_field=self.recipe["text_field"])

    @property
    def level_names(self) -> list[str]:
        return [level["name"] for level in self.recipe["levels"]]

    def corpus(self, level: Mapping[str, Any]) -> str:
        """Path of a level's corpus."""
        return level.get("corpus") or str(self.workdir / "corpora" / level["name"] / "documents.jsonl.zst")

    @property
    def real_corpus(self) -> str | None:
        """Path of the real part of the mixture, None when there is none."""
        real = self.recipe["real"]
        return str(self.workdir / "corpora" / "real.jsonl") if real == "pydoc" else (real or None)

    def run_dir(self, level: str, seed: int) -> pathlib.Path:
        return self.workdir / "runs" / level / f"seed{seed}"

    @property
    def runs(self) -> list[tuple[str, int]]:
        """Seeds outermost: an interrupted study has all levels of the first seeds."""
        return [(level, seed) for seed in self.recipe["seeds"] for level in self.level_names]


def resolve(
    config: Mapping[str, Any], corpora: Sequence[str], heldout: Sequence[str], text_field: str
) -> dict[str, Any]:
    """The recipe as a plain dict, with user corpora as levels and their text fingerprints. Raises `UserError`."""
    recipe = json.loads(json.dumps(dict(config)))
    _check_recipe(recipe)
    if text_field:
        recipe["text_field"] = text_field
    options = ReadOptions(text_field=recipe["text_field"])
    recipe["heldout"] = [*recipe["heldout"], *heldout]
    paths = [found for pattern in (*recipe.pop("corpora"), *corpora) for found in _expand(pattern)]
    for argument in paths:
        name, path = split_name(argument)
        recipe["levels"].append({"name": name, "corpus": os.path.abspath(path) if os.path.exists(path) else path})
    if len(recipe["levels"]) < 2:
        raise UserError("a study compares at least two corpora; give them as --corpora='a.jsonl b.jsonl ...'")
    if not recipe["heldout"]:
        raise UserError("a study needs held-out text; give it as --eval='name=corpus'")
    names = [level["name"] for level in recipe["levels"]] + [_domain(entry)[0] for entry in recipe["heldout"]]
    for name in recipe["null_control"]:
        if name not in names:
            raise UserError(f"null_control names {name!r}, which is no level; levels are {', '.join(names)}")
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"two corpora or domains are called {name!r}; write name=path")
        if not re.fullmatch(r"[\w.-]+", name):
            raise UserError(f"{name!r} cannot be a name; write name=path with letters, digits, '.', '_' and '-'")
    built_in = recipe["real"] == "pydoc" or any("corpus" not in level for level in recipe["levels"])
    if built_in and recipe["text_field"] != "text":
        raise UserError(
            f"--text_field={recipe['text_field']}: the built-in corpora hold their text in 'text'; rename the field in yours"
        )
    for level in recipe["levels"]:
        if "corpus" in level:
            level["fingerprint"] = study_data.corpus_fingerprint(level["corpus"], options)
    domains = {}
    for entry in recipe["heldout"]:
        name, source = _domain(entry)
        domains[name] = {"source": source}
        if source not in ("grammar", "pydoc"):
            domains[name] = {
                "source": os.path.abspath(source),
                "fingerprint": study_data.corpus_fingerprint(source, options),
            }
    recipe["heldout"] = domains
    return recipe


def _check_recipe(recipe: Mapping[str, Any]) -> None:
    """Raise `UserError` for what would only fail hours later."""
    needed = (
        "name",
        "kind",
        "levels",
        "corpora",
        "null_control",
        "real",
        "heldout",
        "heldout_documents",
        "seeds",
        "train",
    )
    for key in (*needed, "documents", "text_field", "vocab_size", "score", "budget", "real_weight", "synthetic_weight"):
        if key not in recipe:
            raise UserError(f"config.{key}: missing; a study recipe looks like configs/studies/tiny.py")
    seeds = recipe["seeds"]
    if not seeds or len(set(seeds)) < len(seeds) or any(type(seed) is not int or seed < 0 for seed in seeds):
        raise UserError(f"config.seeds={seeds}: give at least one whole number of 0 or more, each once")
    if len(recipe["null_control"]) not in (0, 2):
        raise UserError(f"config.null_control={recipe['null_control']}: name two levels, or none")
    if recipe["heldout_documents"] < 1 or (recipe["levels"] and recipe["documents"] < 1):
        raise UserError("config.documents and config.heldout_documents must be at least 1")


def fingerprint(recipe: Mapping[str, Any]) -> str:
    """Identity of a study: its recipe without the time budget and without paths of corpora."""
    facts = json.loads(json.dumps({key: value for key, value in recipe.items() if key != "budget"}))
    for record in (*facts["levels"], *facts["heldout"].values()):
        if "fingerprint" in record:
            record.pop("corpus", None)
            record.pop("source", None)
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def run_study(study: Study) -> dict[str, Any]:
    """Run every stage that is not done and return the content of study.json."""
    study.workdir.mkdir(parents=True, exist_ok=True)
    _claim_workdir(study)
    took = {}
    for stage, function in zip(STAGES, (_corpora, _score, _tokenise, _train, _evaluate, _report), strict=True):
        started = time.monotonic()
        print(f"[{stage}]", flush=True)
        function(study)
        took[stage] = _add_time(study.workdir / "timing.json", stage, time.monotonic() - started)
    budget = study.recipe["budget"]
    print("stage      budget   took (s, this and earlier sessions)")
    for stage in STAGES:
        print(f"{stage:<10} {budget.get(stage, 0):>6} {took[stage]:>6.0f}")
    return files.read_json(study.workdir / "study.json")


# --------------------------------------------------------------------------------------------------- stages


def _corpora(study: Study) -> None:
    recipe = study.recipe
    for level in recipe["levels"]:
        if "corpus" not in level:
            study_data.write_level_corpus(level, recipe["documents"], study.workdir / "corpora" / level["name"])
    if recipe["real"] == "pydoc" and not os.path.exists(study.real_corpus):
        study_data.write_jsonl(pathlib.Path(study.real_corpus), study_data.pydoc_passages(heldout=False))
    record = study.workdir / "heldout" / "heldout.json"
    if record.exists():
        return
    training = [study.corpus(level) for level in recipe["levels"]] + ([study.real_corpus] if study.real_corpus else [])
    keys = study_data.training_keys(training, study.options)
    domains = {}
    for name, domain in recipe["heldout"].items():
        texts = study_data.heldout_source(
            name, domain["source"], recipe["levels"], recipe["heldout_documents"], study.options
        )
        path = study.workdir / "heldout" / f"{name}.jsonl"
        domains[name] = study_data.write_heldout(path, texts, keys, recipe["heldout_documents"])
        print(
            f"held-out {name}: {domains[name]['documents']} documents of {domains[name]['candidates']:,} "
            f"({domains[name]['in_training']:,} dropped: in a training corpus)"
        )
    files.write_json(record, domains)


def _score(study: Study) -> None:
    settings = study.recipe["score"]
    done = study.workdir / "scores" / "comparison.json"
    command = [
        *(sys.executable, "-m", "divsyn_jax.diversity.score_corpus"),
        *(f"{level['name']}={study.corpus(level)}" for level in study.recipe["levels"]),
        f"--output={study.workdir / 'scores'}",
        f"--text_field={study.recipe['text_field']}",
        *(f"--{key}={value}" for key, value in settings.items()),
    ]
    _run_jobs(study, [Job("score", command, study.workdir / "logs" / "score.log", done.exists)], parallel=1)


def _tokenise(study: Study) -> None:
    tokenizer, shards, seq_len = study.workdir / "tokenizer", study.workdir / "shards", study.recipe["train"]["seq_len"]
    training = {level["name"]: study.corpus(level) for level in study.recipe["levels"]}
    if study.real_corpus:
        training["real"] = study.real_corpus
    if not tokenizer.exists():
        train_tokenizer(list(training.values()), str(tokenizer), study.recipe["vocab_size"], study.options)
    for name, corpus in training.items():
        if not (shards / name).exists():
            build_shards([corpus], str(tokenizer), str(shards / name), seq_len, "concat", study.options)
    for name in study.recipe["heldout"]:
        if not (shards / "heldout" / name).exists():
            heldout = str(study.workdir / "heldout" / f"{name}.jsonl")
            build_shards([heldout], str(tokenizer), str(shards / "heldout" / name), seq_len, "document")


def _train(study: Study) -> None:
    recipe, shards = study.recipe, study.workdir / "shards"
    overrides = _flat({key: value for key, value in recipe["train"].items() if key != "config"})
    jobs = []
    for level, seed in study.runs:
        mixture = f"synthetic={shards / level}:{recipe['synthetic_weight']:g}"
        if study.real_corpus:
            mixture = f"real={shards / 'real'}:{recipe['real_weight']:g},{mixture}"
        workdir = study.run_dir(level, seed)
        command = [
            *(sys.executable, "-m", "divsyn_jax.train"),
            f"--config={_config_path(recipe['train']['config'])}",
            f"--workdir={workdir}",
            f"--config.data.train={mixture}",
            f"--config.seed={seed}",
            *(f"--config.{key}={value}" for key, value in overrides.items()),
        ]
        jobs.append(Job(f"{level} seed {seed}", command, workdir / "train.log", (workdir / "DONE").exists))
    _run_jobs(study, jobs, study.parallel)


def _evaluate(study: Study) -> None:
    shards = study.workdir / "shards" / "heldout"
    data = ",".join(f"{name}={shards / name}" for name in study.recipe["heldout"])
    # A process evaluates several runs, because they share the compiled step.
    jobs = []
    for index in range(study.parallel):
        workdirs = [study.run_dir(*run) for run in study.runs][index :: study.parallel]
        missing = [str(workdir) for workdir in workdirs if not (workdir / "eval.json").exists()]
        if missing:
            command = [sys.executable, "-m", "divsyn_jax.evaluate", f"--workdir={','.join(missing)}", f"--data={data}"]
            log = study.workdir / "logs" / f"evaluate{index}.log"
            jobs.append(
                Job(
                    f"evaluate {len(missing)} runs",
                    command,
                    log,
                    lambda m=missing: all(os.path.exists(f"{w}/eval.json") for w in m),
                )
            )
    _run_jobs(study, jobs, study.parallel)


def _report(study: Study) -> None:
    result = collect(study)
    files.write_json(study.workdir / "study.json", result)
    study_report.write_report(result, study.workdir)


# -------------------------------------------------------------------------------------------------- results


def collect(study: Study) -> dict[str, Any]:
    """Everything the study found, from the files of its runs and scores: the content of study.json."""
    recipe = study.recipe
    comparison = files.read_json(study.workdir / "scores" / "comparison.json")
    runs = [_run_record(study, level, seed) for level, seed in study.runs]
    levels = []
    for level in recipe["levels"]:
        name = level["name"]
        score = files.read_json(study.workdir / "scores" / name / "score.json")
        manifest = files.read_json(study.workdir / "shards" / name / "manifest.json")
        of_level = [run for run in runs if run["level"] == name]
        levels.append(
            {
                "name": name,
                **{key: level[key] for key in ("topics", "styles", "personas") if key in level},
                "documents": score["corpus"]["documents"],
                "fingerprint": score["corpus"]["fingerprint"],
                "unique_tokens": manifest["tokens"],
                "epochs": of_level[0]["metrics"]["epochs/synthetic"],
                "duplicates": score["duplicates"]["exact"],
                "metrics": {metric: _metric(metric, score, comparison["metrics"][metric][name]) for metric in METRICS},
                "performance": {
                    domain: statistics.mean_interval(
                        [run["metrics"][f"eval/{domain}/bits_per_byte"] for run in of_level]
                    )
                    for domain in recipe["heldout"]
                },
            }
        )
    correlations = _correlations(recipe, levels)
    first = files.read_json(study.run_dir(*study.runs[0]) / "config.json")
    return {
        "name": recipe["name"],
        "kind": recipe["kind"],
        "fingerprint": fingerprint(recipe),
        "recipe": recipe,
        "agent": comparison["agent"],
        "score_settings": comparison["settings"],
        "primary_metric": PRIMARY_METRIC,
        "primary_domain": next(iter(recipe["heldout"])),
        "levels": levels,
        "runs": runs,
        "heldout": files.read_json(study.workdir / "heldout" / "heldout.json"),
        "correlations": correlations,
        "verdicts": _verdicts(recipe, levels, runs, correlations),
        "held_equal": _held_equal(recipe, first, levels),
        "environment": {
            "python": platform.python_version(),
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            **files.read_json(study.run_dir(*study.runs[0]) / "environment.json"),
        },
    }


def _metric(metric: str, score: Mapping[str, Any], estimate: Mapping[str, Any]) -> dict[str, Any]:
    """A score with the interval for the process that wrote the corpus, where there is one: a level is such a process."""
    own = score.get(metric, {})
    if own.get("generator_ci_low") is None:
        return dict(estimate)
    return {
        "value": own["value"],
        "ci_low": own["generator_ci_low"],
        "ci_high": own["generator_ci_high"],
        "of": "generator",
    }


def _run_record(study: Study, level: str, seed: int) -> dict[str, Any]:
    workdir = study.run_dir(level, seed)
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    last = lines[-1]
    metrics = {key: value for key, value in last.items() if key.startswith(("share/", "epochs/"))}
    for name, domain in files.read_json(workdir / "eval.json")["domains"].items():
        metrics[f"eval/{name}/bits_per_byte"] = domain["bits_per_byte"]
        metrics[f"eval/{name}/loss"] = domain["loss"]
    # A curve of at most 100 points, each the mean loss since the one before.
    stride = max(1, len(lines) // 100)
    curve = [
        [lines[min(start + stride, len(lines)) - 1]["step"], sum(line["loss"] for line in part) / len(part)]
        for start in range(0, len(lines), stride)
        for part in [lines[start : start + stride]]
    ]
    return {
        "level": level,
        "seed": seed,
        "stage": "pretrain",
        "step": last["step"],
        "metrics": {"train_loss": curve[-1][1], **metrics},
        "curve": curve,
        "seconds": sum(line["seconds"] for line in lines),
    }


def _correlations(recipe: Mapping[str, Any], levels: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Pearson and Spearman of every metric with bits per byte of every domain, over levels; the null twin is left out."""
    used = [level for level in levels if level["name"] not in recipe["null_control"][1:]]
    rows = []
    for domain in recipe["heldout"]:
        performance = [level["performance"][domain]["value"] for level in used]
        for metric in METRICS:
            values = [level["metrics"][metric]["value"] for level in used]
            present = all(value is not None for value in values)
            x = [math.log2(value) for value in values] if metric == PRIMARY_METRIC else values
            rows.append(
                {
                    "metric": metric,
                    "scale": "log2" if metric == PRIMARY_METRIC else "linear",
                    "performance": f"{domain}/bits_per_byte",
                    **(
                        statistics.pearson(x, performance)
                        if present
                        else {"estimate": None, "reason": "metric not run", "n": len(used)}
                    ),
                    "method": "Pearson, Fisher 95% interval; the unit is the corpus",
                    "spearman": statistics.spearman(x, performance) if present else None,
                }
            )
    return rows


def _verdicts(recipe, levels, runs, correlations) -> list[dict[str, str]]:
    verdicts = []
    for domain in recipe["heldout"]:
        row = next(
            r for r in correlations if r["metric"] == PRIMARY_METRIC and r["performance"] == f"{domain}/bits_per_byte"
        )
        low, high, n = row.get("ci_low"), row.get("ci_high"), row["n"]
        if low is None:
            verdict, because = "cannot tell", row.get("reason", f"{n} corpora are too few for an interval")
        else:
            verdict = "supported" if high < 0 else "not supported: the opposite" if low > 0 else "cannot tell"
            because = f"r = {row['estimate']:.2f} [{low:.2f}, {high:.2f}] between log2 effective clusters and bits per byte over {n} corpora"
        verdicts.append(
            {
                "hypothesis": f"More diverse corpora train models that predict held-out {domain} text better",
                "verdict": verdict,
                "because": because,
            }
        )
    if recipe["null_control"]:
        verdicts.append(_null_verdict(recipe, levels, runs))
    return verdicts


def _null_verdict(recipe, levels, runs) -> dict[str, str]:
    """Two corpora of equal breadth: the difference of every domain, paired by training seed, should cover zero."""
    one, two = recipe["null_control"]
    parts, clean = [], True
    for domain in recipe["heldout"]:
        value = {(run["level"], run["seed"]): run["metrics"][f"eval/{domain}/bits_per_byte"] for run in runs}
        difference = statistics.mean_interval([value[two, seed] - value[one, seed] for seed in recipe["seeds"]])
        if difference["ci_low"] is None:
            return {
                "hypothesis": "The null control shows no difference",
                "verdict": "cannot tell",
                "because": "one seed has no interval",
            }
        clean &= difference["ci_low"] <= 0 <= difference["ci_high"]
        parts.append(
            f"{domain}: {difference['value']:+.3f} bits per byte [{difference['ci_low']:+.3f}, {difference['ci_high']:+.3f}]"
        )
    first, second = (
        next(level for level in levels if level["name"] == name)["metrics"][PRIMARY_METRIC] for name in (one, two)
    )
    overlap = first["ci_low"] <= second["ci_high"] and second["ci_low"] <= first["ci_high"]
    parts.append(
        f"effective clusters {first['value']:.1f} and {second['value']:.1f}, intervals {'overlap' if overlap else 'do not overlap'}"
    )
    return {
        "hypothesis": f"The null control ({one} against {two}: same breadth, another seed) shows no difference",
        "verdict": "supported" if clean and overlap else "not supported",
        "because": "; ".join(parts),
    }


def _held_equal(recipe: Mapping[str, Any], run: Mapping[str, Any], levels: Sequence[Mapping[str, Any]]) -> list[str]:
    tokens = run["steps"] * run["global_batch"] * run["seq_len"]
    unique = [level["unique_tokens"] for level in levels]
    real = (
        f", of which {recipe['real_weight'] / (recipe['real_weight'] + recipe['synthetic_weight']):.0%} real text"
        if recipe["real"]
        else ""
    )
    return [
        f"training tokens: {tokens:,} a run{real}",
        "model, optimizer, schedule, tokenizer, evaluation text and seeds",
        f"not held equal: unique tokens of the corpora, {min(unique):,} to {max(unique):,} "
        f"({min(level['epochs'] for level in levels):.2f} to {max(level['epochs'] for level in levels):.2f} epochs)",
    ]


# -------------------------------------------------------------------------------------------------- helpers


def _run_jobs(study: Study, jobs: Sequence[Job], parallel: int) -> None:
    waiting = sum(not job.done() for job in jobs)
    finished = 0
    started = time.monotonic()

    def on_done(job: Job, seconds: float) -> None:
        nonlocal finished
        finished += 1
        left = (time.monotonic() - started) / finished * (waiting - finished)
        print(f"  {job.name}: {seconds:.0f} s   ({finished}/{waiting}, ETA {left:.0f} s)", flush=True)

    environment = {"JAX_COMPILATION_CACHE_DIR": str(study.workdir / "xla_cache"), "PYTHONPATH": _python_path()}
    try:
        local_runner.run_jobs(jobs, parallel, environment, on_done)
    except local_runner.JobFailed as failure:
        raise UserError(f"{failure}; mend the cause and run the same command to continue") from None


def _python_path() -> str:
    return os.pathsep.join(filter(None, [str(_ROOT), os.environ.get("PYTHONPATH")]))


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested keys as `a.b`."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value})
    return flat


def _config_path(path: str) -> str:
    for candidate in (pathlib.Path(path), _ROOT / path):
        if candidate.exists():
            return str(candidate.resolve())
    raise UserError(f"train.config={path!r}: no such file")


def _claim_workdir(study: Study) -> None:
    mine, record = fingerprint(study.recipe), study.workdir / "recipe.json"
    if record.exists():
        theirs = files.read_json(record)
        if theirs["fingerprint"] != mine:
            raise UserError(
                f"{study.workdir}: holds a study of another recipe or other corpora ({theirs['fingerprint'][:8]}); use another --workdir"
            )
    files.write_json(record, {"fingerprint": mine, "recipe": study.recipe})


def _add_time(path: pathlib.Path, stage: str, seconds: float) -> float:
    times = files.read_json(path) if path.exists() else {}
    times[stage] = times.get(stage, 0.0) + seconds
    files.write_json(path, times)
    return times[stage]


def _expand(pattern: str) -> list[str]:
    if glob.has_magic(pattern) and not os.path.exists(pattern):
        return sorted(glob.glob(pattern)) or [pattern]
    return [pattern]


def _domain(entry: str) -> tuple[str, str]:
    return (entry, entry) if entry in ("grammar", "pydoc") else split_name(entry)


def _print_plan(study: Study) -> None:
    recipe = study.recipe
    budget = ", ".join(f"{stage} {recipe['budget'].get(stage, 0)} s" for stage in STAGES)
    print(f"study {recipe['name']} {fingerprint(recipe)[:8]} in {study.workdir}")
    print(
        f"  {len(recipe['levels'])} levels x {len(recipe['seeds'])} seeds, {study.parallel} at a time: {', '.join(study.level_names)}"
    )
    print(f"  held-out: {', '.join(recipe['heldout'])}")
    print(f"  time budget on two cores: {budget}", flush=True)


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; corpora are given as --corpora='A B'")
    config = commandline.require(_CONFIG.value, "config", "configs/studies/tiny.py")
    recipe = resolve(config.to_dict(), _CORPORA.value.split(), _EVAL.value.split(), _TEXT_FIELD.value)
    workdir = pathlib.Path(_WORKDIR.value or f"studies/{recipe['name']}-{fingerprint(recipe)[:8]}").absolute()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    study = Study(recipe, workdir, _PARALLEL.value or min(cores, len(recipe["levels"]) * len(recipe["seeds"])))
    _print_plan(study)
    result = run_study(study)
    for verdict in result["verdicts"]:
        print(f"{verdict['verdict'].upper()}: {verdict['hypothesis']} ({verdict['because']})")
    print(f"report: {workdir / 'report.html'}")


if __name__ == "__main__":
    commandline.run(main, __doc__)
