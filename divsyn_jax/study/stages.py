"""Run the parts of a study on this machine: what every run needs, then the runs.

Whatever is done is skipped.
"""

import functools
import os
import pathlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.readers.corpus import corpus_files
from divsyn_jax.data.shard_builder import build_shards
from divsyn_jax.data.tokenizer_trainer import train_tokenizer
from divsyn_jax.diversity.score_file import read_score
from divsyn_jax.study import local_runner, results, study_file, written
from divsyn_jax.study import plan as study_plan
from divsyn_jax.study import texts as study_data
from divsyn_jax.study.controls import closeness
from divsyn_jax.study.factorial import pools
from divsyn_jax.study.finetuning import sets as finetuning_sets
from divsyn_jax.study.identity import difference, study_fingerprint
from divsyn_jax.study.local_runner import Job, Slot
from divsyn_jax.study.recipe import Study
from divsyn_jax.study.reporting import report as page

_SHARD_BYTES = 16 << 20  # text of a shard: a process for less costs more than it saves


def claim_workdir(study: Study) -> None:
    """Record the recipe in the study's folder.

    Raises `UserError` when the folder holds another study.
    """
    study.workdir.mkdir(parents=True, exist_ok=True)
    mine, record = study_fingerprint(study.recipe), study.workdir / "recipe.json"
    if record.exists():
        theirs = files.read_json(record)
        if theirs["fingerprint"] != mine:
            raise UserError(
                f"{study.workdir}: holds a study of another recipe or other corpora"
                f" ({difference(theirs['recipe'], study.recipe)}); restore it or use another"
                " --workdir"
            )
    files.write_json(record, {"fingerprint": mine, "recipe": study.recipe})


def prepare(study: Study) -> None:
    """Corpora and held-out text, scores, tokenizer and shards."""
    parts = (
        ("corpora", _corpora),
        ("score", _score),
        ("tokenise", _tokenise),
        ("closeness", closeness.read_closeness),
    )
    for name, function in parts:
        with_time(study, name, functools.partial(function, study))
    files.write_text(study.workdir / "PREPARED", study_fingerprint(study.recipe) + "\n")


def train_runs(study: Study, slots: Sequence[Slot]) -> None:
    """Every stage of every run: all runs of a stage before the next stage."""
    trained = "pretrain"
    for index, stage in enumerate(study.recipe["stages"]):
        if stage == "evaluate":
            name = "evaluate" if trained == "pretrain" else f"{trained} evaluate"
            with_time(study, name, functools.partial(_evaluate, study, slots, trained))
            continue
        trained = stage
        jobs = {}
        for run in study.runs:  # of which several may share a step
            step = study_plan.steps(study, run)[index]
            name = str(step.result.parent.relative_to(study.workdir / "runs"))
            name = f"{name.removesuffix(f'/{stage}')} {stage}"
            jobs[step.result] = Job(name, step.command, step.log, step.result.exists)
        with_time(
            study,
            "train" if stage == "pretrain" else stage,
            functools.partial(run_missing, study, list(jobs.values()), slots),
        )


def with_time(study: Study, name: str, function: Callable[[], object]) -> None:
    """Call `function`, and add the seconds it took to timing.json under `name`."""
    print(f"[{name}]", flush=True)
    started, record = time.monotonic(), study.workdir / "timing.json"
    function()
    times = files.read_json(record) if record.exists() else {}
    files.write_json(record, {**times, name: times.get(name, 0.0) + time.monotonic() - started})


def run_missing(study: Study, jobs: Sequence[Job], slots: Sequence[Slot]) -> None:
    """Run the jobs that are not done on these slots, with a line for each.

    Raises `UserError` when one fails.
    """
    waiting = sum(not job.done() for job in jobs)
    finished = 0
    started = time.monotonic()
    if waiting:
        at_once = min(waiting, len(slots))
        print(
            f"  {waiting} to do, {at_once} at a time; each writes its progress to a file in"
            f" {jobs[0].log.parent}",
            flush=True,
        )

    def on_done(job: Job, seconds: float) -> None:
        nonlocal finished
        finished += 1
        left = (time.monotonic() - started) / finished * (waiting - finished)
        print(
            f"  {job.name}: {seconds:.0f} s   ({finished}/{waiting}, ETA {left:.0f} s)", flush=True
        )

    try:
        local_runner.run_jobs(jobs, slots, study_plan.environment(study), on_done)
    except local_runner.JobFailed as failure:
        raise UserError(
            f"{failure}; fix the cause and rerun the same command to continue"
        ) from None


def _corpora(study: Study) -> None:
    recipe = study.recipe
    if jobs := written.jobs(study.workdir, recipe):
        # A core each: threads of one server that share cores with others hold each other up.
        run_missing(study, jobs, local_runner.cpu_slots(min(local_runner.cores(), len(jobs))))
    if pools.selects(recipe):
        job = pools.selection_job(study.workdir)
        run_missing(study, [job], [local_runner.whole_machine()])
        print("\n".join(pools.selection_lines(study.workdir)), flush=True)
    pretraining = finetuning_sets.pretraining_levels(recipe)
    for level in pretraining:
        made_elsewhere = written.is_written(level) or pools.is_selected(level)
        if "corpus" not in level and not made_elsewhere:
            study_data.write_level_corpus(
                level, recipe["documents"], study.workdir / "corpora" / level["name"]
            )
    if recipe["real"] == "pydoc" and study.real_corpus and not os.path.exists(study.real_corpus):
        study_data.write_jsonl(
            pathlib.Path(study.real_corpus), study_data.pydoc_passages(heldout=False)
        )
    for level in filter(finetuning_sets.is_of_grammar, recipe["levels"]):
        finetuning_sets.write_instructions(study.workdir, recipe, level)
    if "sft" in recipe["stages"] and recipe["sft"].get("data") == "grammar":
        folder = study.workdir / "corpora" / "instructions"
        study_data.write_questions(
            "instructions", recipe["levels"], recipe["sft"].get("instructions", 0), folder
        )
    if recipe["tasks"] and recipe["task_data"] == "grammar":
        study_data.write_questions("items", pretraining, 0, study.workdir / "corpora" / "items")
    if recipe["equal_text"]:
        sources = {level["name"]: study.source(level) for level in recipe["levels"]}
        study_data.write_equal_corpora(sources, study.workdir / "corpora" / "equal", study.options)
    for level in recipe["levels"]:
        if study.corpus(level) != study.in_given_order(level):
            ordered = pathlib.Path(study.corpus(level))
            study_data.write_in_order_of_hash(study.in_given_order(level), ordered, study.options)
    record = study.workdir / "heldout" / "heldout.json"
    if record.exists():
        return
    scored = [study.corpus(level) for level in recipe["levels"]]
    training = list(dict.fromkeys([*scored, *study.pretraining_corpora.values()]))
    training += [study.real_corpus] if study.real_corpus else []
    keys = study_data.training_keys(training, study.options)
    domains = {}
    for name, domain in recipe["heldout"].items():
        source = domain["source"]
        if source in pools.HELDOUT_OF_POOLS:
            source = str(pools.heldout_path(study.workdir, source))
        texts = study_data.heldout_source(
            name, source, pretraining, recipe["heldout_documents"], study.options
        )
        path = study.workdir / "heldout" / f"{name}.jsonl"
        domains[name] = study_data.write_heldout(path, texts, keys, recipe["heldout_documents"])
        print(
            f"held-out {name}: {domains[name]['documents']} documents of"
            f" {domains[name]['candidates']:,} ({domains[name]['in_training']:,} dropped: in a"
            " training corpus)"
        )
    files.write_json(record, domains)


def _score(study: Study) -> None:
    done = study.workdir / "scores" / "comparison.json"
    command = [
        *(sys.executable, "-m", "divsyn_jax.diversity.score_corpus"),
        *(f"{level['name']}={study.corpus(level)}" for level in study.recipe["levels"]),
        f"--output={study.workdir / 'scores'}",
        f"--text_field={study.recipe['text_field']}",
        *(f"--{key}={value}" for key, value in study.recipe["score"].items()),
    ]
    everything = [local_runner.whole_machine()]
    run_missing(
        study,
        [Job("score", command, study.workdir / "logs" / "score.log", done.exists)],
        everything,
    )


def _tokenise(study: Study) -> None:
    tokenizer, shards, seq_len = (
        study.workdir / "tokenizer",
        study.workdir / "shards",
        study.recipe["train"]["seq_len"],
    )
    training = dict(study.pretraining_corpora)
    if study.real_corpus:
        training["real"] = study.real_corpus
    if not tokenizer.exists():
        train_tokenizer(
            list(training.values()), str(tokenizer), study.recipe["vocab_size"], study.options
        )
    for name, corpus in training.items():
        if not (shards / name).exists():
            build_shards(
                [f"{name}={corpus}"],
                str(tokenizer),
                str(shards / name),
                seq_len,
                "concat",
                study.options,
                workers=_workers(corpus),
            )
    talks = {}
    if finetuning_sets.compares_sft_sets(study.recipe):
        talks = {level["name"]: study.corpus(level) for level in study.recipe["levels"]}
    elif "sft" in study.recipe["stages"]:
        talks = {"sft": study.conversations}
    for name, conversations in talks.items():
        if not (shards / name).exists():
            build_shards(
                [conversations if name == "sft" else f"{name}={conversations}"],
                str(tokenizer),
                str(shards / name),
                seq_len,
                "best_fit",
                workers=_workers(conversations),
            )
    for level in study.recipe["levels"]:
        _describe_level(study, level)
    for name in study.recipe["heldout"]:
        if not (shards / "heldout" / name).exists():
            heldout = str(study.workdir / "heldout" / f"{name}.jsonl")
            build_shards(
                [heldout], str(tokenizer), str(shards / "heldout" / name), seq_len, "document"
            )


def _workers(corpus: str) -> int:
    """Processes that tokenise a corpus: one for every shard it fills, within the cores.

    One that lies elsewhere is taken for large.
    """
    if not study_data.is_local(corpus):
        return local_runner.cores()
    size = sum(os.path.getsize(path) for path in corpus_files(corpus))
    return max(1, min(local_runner.cores(), size // _SHARD_BYTES))


def _describe_level(study: Study, level: Mapping[str, Any]) -> None:
    """Put what a level is and how diverse it was scored beside its shards, from where runs take it
    into their level.json.
    """
    folder = study.workdir / "shards" / level["name"]
    for name, content in (
        ("level.json", level),
        ("score.json", read_score(study.workdir / "scores" / level["name"])),
    ):
        if not (folder / name).exists():
            files.write_json(folder / name, content)


def _evaluate(study: Study, slots: Sequence[Slot], stage: str) -> None:
    """A process evaluates several runs, because they share the compiled step."""
    jobs = []
    for index in range(len(slots)):
        every = dict.fromkeys(study.run_dir(run, stage) for run in study.runs)
        workdirs = list(every)[index :: len(slots)]
        lacking = [workdir for workdir in workdirs if not (workdir / "eval.json").exists()]
        if lacking:

            def done(lacking=lacking) -> bool:
                return all((workdir / "eval.json").exists() for workdir in lacking)

            log = study.workdir / "logs" / f"evaluate{index}.log"
            jobs.append(
                Job(
                    f"evaluate {len(lacking)} runs",
                    study_plan.evaluate_command(study, lacking),
                    log,
                    done,
                )
            )
    run_missing(study, jobs, slots)


def report(study: Study) -> None:
    """Write study.json, report.html and the main figure from the files of the runs."""
    lacking = study_plan.missing(study)
    if lacking:
        raise UserError(
            f"{study.workdir}: {len(lacking)} of {len(study.runs)} runs are unfinished"
            f" ({lacking[0].name} first); run or submit the study again"
        )
    result = results.collect(study)
    study_file.write(result, study.workdir / "study.json")
    page.write_report(result, study.workdir)
