"""What a study is: its recipe resolved, its runs, and where everything of it lies.

Keys of a study recipe (configs/studies/*.py): name, kind: label; 'positive_control' (the outcome is
  largely built in) or 'observation'. levels: the corpora compared, by name: `corpus` (a path), or
  written by the built-in grammar: topics, styles, personas, seed (`documents` in each); with a
  `temperature` beside these, by the language model of `writer` (divsyn_jax/study/written.py). A
  level of the grammar may also give wordings, formats, generators, topics_per_document and
  documents of its own (divsyn_jax/synthesis/grammar/grammar.py). A level may weigh its corpus with
  a `synthetic_weight` of its own (0: real text alone). corpora: more corpora, one level each
  (--corpora). equal_text: cut every level to the bytes of the smallest, so that distinct text and
  repetition are equal. A level may name its `family` (a ladder, a generator, a domain): effects
  are then taken within families. null_control: names of two levels that differ in nothing but the
  seed, or empty. real, real_weight, synthetic_weight: text mixed into every run ('pydoc', a
  corpus, or '' for none) and token weights. heldout, heldout_documents: domains to evaluate on
  ('grammar', 'pydoc', name=corpus; --eval), documents of each. tasks, task_data: downstream tasks
  to evaluate on (evaluate --tasks), perhaps none, and the folder of their local files (evaluate
  --task_data), '' for the hub's, or 'grammar' for the built-in grammar's `items`. primary: which
  outcome decides: 'tasks' (their mean) or 'heldout' (bits per byte of the first domain). seeds:
  of the training runs; every level is trained once a seed. sizes: small to large: a name and
  overrides of `train` (and, as `sft`, of `sft`), every level and seed trained at each; empty:
  `train` as it is. stages: what a run goes through: pretrain, evaluate, and perhaps sft,
  evaluate. vocab_size: of the one tokenizer, trained on equal bytes of every level and of the
  real text. score: settings of score_corpus. train, sft: the run recipe and the keys it
  overrides; windows hold train.seq_len inputs in every stage. sft.data: conversations, or
  'grammar' for the first `sft.instructions` of the built-in grammar's (0: all). hypotheses: what
  the results are asked; see divsyn_jax/study/hypotheses/listed.py. budget: seconds a part should
  take. Held-out text of the grammar may also be 'seen' (new in nothing but the text) or
  'unseen_<axis>' (of entries of that axis alone which no level uses), for topics, styles, personas,
  wordings and formats.
Keys that may be left out: factors: of a factorial study, {level key: (low, high)}; resolution:
  'full' or 'IV', a fraction; see divsyn_jax/study/factorial/cells.py for what `levels` then holds.
  outcomes: more outcomes of the questions, from their stored log-likelihoods: probability,
  minus_bits_per_byte, margin, above_chance. pilot_seeds: with primary 'pilot', all levels are
  trained at these, too, and they choose the primary outcome (divsyn_jax/study/controls/signals.py).
  selection: of corpora from --corpora by facets; see divsyn_jax/study/factorial/pools.py.
  A level may give `unique_tokens`: training repeats only so many tokens of its corpus.
  pretrain: the corpus (as a level, without a name) on which the one model of a size and seed is
  pre-trained, where levels are fine-tuning sets: `sft_corpus`, a path of conversations, or
  'grammar' for `instructions` of the built-in grammar about its first `topics`, with a `seed`;
  see divsyn_jax/study/finetuning/sets.py.
  num_fewshot: examples before each question (evaluate --num_fewshot).
"""

import dataclasses
import functools
import glob
import hashlib
import json
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.chat import ConversationReader
from divsyn_jax.data.readers.corpus import CorpusReader, ReadOptions, split_name
from divsyn_jax.evaluation import task_data
from divsyn_jax.study import checks as study_checks
from divsyn_jax.study import texts as study_data
from divsyn_jax.study import written
from divsyn_jax.study.factorial import cells, pools
from divsyn_jax.study.finetuning import sets as finetuning_sets
from divsyn_jax.study.hypotheses import listed
from divsyn_jax.study.identity import study_fingerprint
from divsyn_jax.training import recipe_file


@dataclasses.dataclass(frozen=True)
class Run:
    """One model: a level trained with a seed at a size ('' in a study of one size)."""

    size: str
    level: str
    seed: int

    @property
    def name(self) -> str:
        """Its folder under runs/: [size/]level/seed<k>."""
        return "/".join(filter(None, (self.size, self.level, f"seed{self.seed}")))


@dataclasses.dataclass(frozen=True)
class Study:
    """A resolved study: the recipe as a plain dict and the folder it lies in."""

    recipe: Mapping[str, Any]
    workdir: pathlib.Path

    @property
    def options(self) -> ReadOptions:
        """How its corpora are read."""
        return ReadOptions(text_field=self.recipe["text_field"])

    @property
    def level_names(self) -> list[str]:
        """Names of the levels, in the recipe's order."""
        return [level["name"] for level in self.recipe["levels"]]

    @property
    def sizes(self) -> list[str]:
        """Names of the model sizes, [''] for one that needs no name."""
        return [size["name"] for size in self.recipe["sizes"]] or [""]

    def source(self, level: Mapping[str, Any]) -> str:
        """Path of a level's corpus as given or generated."""
        if written.is_written(level):
            folder = written.folder_of(self.workdir, self.recipe, level)
            return str(folder / "documents.jsonl.zst")
        if pools.is_selected(level):
            return str(pools.selected_path(self.workdir, level))
        if finetuning_sets.is_of_grammar(level):
            return str(finetuning_sets.instructions_path(self.workdir, level))
        given: str = level.get(finetuning_sets.SFT_CORPUS) or level.get("corpus", "")
        return given or str(self.workdir / "corpora" / level["name"] / "documents.jsonl.zst")

    def corpus(self, level: Mapping[str, Any]) -> str:
        """Path of the corpus that is scored and trained on."""
        if level.get(cells.SHAM) == cells.SHAM_VALUES[1]:
            return str(self.workdir / "corpora" / "ordered" / f"{level['name']}.jsonl")
        return self.in_given_order(level)

    def in_given_order(self, level: Mapping[str, Any]) -> str:
        """Path of the same documents before their order is changed."""
        if self.recipe["equal_text"]:
            return str(self.workdir / "corpora" / "equal" / f"{level['name']}.jsonl")
        return self.source(level)

    @property
    def pretraining_corpora(self) -> dict[str, str]:
        """Paths of the synthetic corpora that are pre-trained on, by name."""
        levels = finetuning_sets.pretraining_levels(self.recipe)
        return {level["name"]: self.corpus(level) for level in levels}

    @property
    def real_corpus(self) -> str | None:
        """Path of the real part of the mixture, None when there is none."""
        real = self.recipe["real"]
        return str(self.workdir / "corpora" / "real.jsonl") if real == "pydoc" else (real or None)

    @property
    def conversations(self) -> str:
        """Path of what runs are fine-tuned on."""
        data = self.recipe["sft"]["data"]
        return (
            str(self.workdir / "corpora" / "instructions" / "instructions.jsonl.zst")
            if data == "grammar"
            else data
        )

    @property
    def task_data(self) -> str:
        """Folder of the tasks' items, '' for the hub's."""
        data = self.recipe["task_data"]
        return str(self.workdir / "corpora" / "items") if data == "grammar" else data

    @property
    def runs(self) -> list[Run]:
        """Seeds outermost, those of a pilot first: an interrupted study has all levels of the first
        seeds."""
        return [
            Run(size, level, seed)
            for seed in (*self.recipe.get("pilot_seeds", ()), *self.recipe["seeds"])
            for size in self.sizes
            for level in self.level_names
        ]

    @property
    def measured(self) -> list[Run]:
        """The runs that results are made of: those of the pilot are not."""
        return [run for run in self.runs if run.seed in self.recipe["seeds"]]

    @property
    def trained_stages(self) -> list[str]:
        """The stages that train: pretrain, perhaps sft."""
        return [stage for stage in self.recipe["stages"] if stage != "evaluate"]

    @property
    def compared_stages(self) -> list[str]:
        """The stages after which levels are compared: not one that they share."""
        shared = finetuning_sets.compares_sft_sets(self.recipe)
        return [stage for stage in self.trained_stages if not (shared and stage == "pretrain")]

    def run_dir(self, run: Run, stage: str = "pretrain") -> pathlib.Path:
        """Run directory of a training stage; fine-tuning sets share one of pre-training."""
        if stage == "pretrain" and finetuning_sets.compares_sft_sets(self.recipe):
            run = dataclasses.replace(run, level=finetuning_sets.SHARED)
        folder = self.workdir / "runs" / run.name
        return folder if stage == "pretrain" else folder / stage

    def train_keys(self, run: Run) -> dict[str, Any]:
        """The run recipe's overrides at this size, `config` among them."""
        return _merged(
            self.recipe["train"],
            {key: value for key, value in self.size(run).items() if key != "sft"},
        )

    def sft_keys(self, run: Run) -> dict[str, Any]:
        """The same of fine-tuning, at the window length of pre-training:

        shards of a study have one.
        """
        keys = {
            key: value
            for key, value in self.recipe["sft"].items()
            if key not in ("data", "instructions")
        }
        return _merged(
            {"seq_len": self.recipe["train"]["seq_len"], **keys}, self.size(run).get("sft", {})
        )

    def stage_keys(self, run: Run, stage: str) -> dict[str, Any]:
        """Those of a training stage."""
        return self.train_keys(run) if stage == "pretrain" else self.sft_keys(run)

    def size(self, run: Run) -> dict[str, Any]:
        """What the run's size overrides."""
        found: dict[str, Any] = next(
            (size for size in self.recipe["sizes"] if size["name"] == run.size), {}
        )
        return {key: value for key, value in found.items() if key != "name"}


def resolve(
    config: Mapping[str, Any],
    corpora: Sequence[str],
    heldout: Sequence[str],
    text_field: str,
    read: bool = True,
) -> dict[str, Any]:
    """The recipe as a plain dict, with user corpora as levels, their text fingerprints and the
    content of the run recipes.

    `read=False` leaves the corpora unread and unchecked, for a plan made where they are not. Raises
    `UserError`."""
    recipe = json.loads(json.dumps(cells.with_cells(dict(config))))
    placed = recipe.get("factors") and not pools.selects(recipe)
    if placed and (corpora or recipe.get("corpora")):
        raise UserError(
            "--corpora: a factorial study knows the place of each corpus; name them in"
            " config.levels, each with its place (at)"
        )
    study_checks.check_recipe(recipe)
    if text_field:
        recipe["text_field"] = text_field
    options = ReadOptions(text_field=recipe["text_field"])
    recipe["heldout"] = [*recipe["heldout"], *heldout]
    paths = [found for pattern in (*recipe.pop("corpora"), *corpora) for found in _expand(pattern)]
    for argument in () if pools.selects(recipe) else paths:
        name, path = split_name(argument)
        kind = "corpus" if not finetuning_sets.compares_sft_sets(recipe) else "sft_corpus"
        recipe["levels"].append({"name": name, kind: path})
    if len(recipe["levels"]) < 2:
        raise UserError(
            "a study compares at least two corpora; give them as --corpora='a.jsonl b.jsonl ...'"
        )
    if not recipe["heldout"]:
        raise UserError("a study needs held-out text; give it as --eval='name=corpus'")
    listed.listed(recipe, ())  # refuses what is no hypothesis before anything is computed
    study_checks.check_names(recipe, [_domain(entry)[0] for entry in recipe["heldout"]])
    pretraining = finetuning_sets.pretraining_levels(recipe)
    built_in = recipe["real"] == "pydoc" or any(
        "corpus" not in level and not pools.is_selected(level) for level in pretraining
    )
    if built_in and recipe["text_field"] != "text":
        raise UserError(
            f"--text_field={recipe['text_field']}: the built-in corpora hold their text in 'text';"
            " rename the field in yours"
        )

    @functools.cache  # levels may share a corpus, and one may be the real text
    def text_of(corpus: str) -> str:
        return study_data.corpus_fingerprint(CorpusReader(corpus, options))

    if pools.selects(recipe):
        pools.bind_pools(recipe, paths, _absolute, text_of if read else None)
    if finetuning_sets.compares_sft_sets(recipe):
        _bind_sets(recipe, read)
    for level in pretraining:
        if "corpus" in level:
            level["corpus"] = _absolute(level["corpus"])
        if "corpus" in level and read:
            level["fingerprint"] = text_of(level["corpus"])
    listed.listed(recipe, ())  # refuses what is no hypothesis before anything is computed
    domains = {}
    for entry in recipe["heldout"]:
        name, source = _domain(entry)
        domains[name] = {"source": source}
        study_data.check_unseen(source, pretraining)
        if source not in study_data.BUILT_IN and read:
            source = _absolute(source)
            domains[name] = {"source": source, "fingerprint": text_of(source)}
    recipe["heldout"] = domains
    if recipe["real"] not in ("", "pydoc"):
        recipe["real"] = _absolute(recipe["real"])
        if read:
            recipe["real_fingerprint"] = text_of(recipe["real"])
    _bind_run_recipes(recipe)
    if read:
        _bind_questions(recipe)
    return recipe


def _bind_sets(recipe: dict[str, Any], read: bool) -> None:
    """Name the shared corpus, make paths of fine-tuning sets absolute, and add what identifies
    their content."""
    recipe[finetuning_sets.SHARED]["name"] = finetuning_sets.SHARED
    for level in recipe["levels"]:
        if finetuning_sets.is_of_grammar(level):
            continue
        path = level[finetuning_sets.SFT_CORPUS] = _absolute(level[finetuning_sets.SFT_CORPUS])
        if read:
            level["fingerprint"] = study_data.corpus_fingerprint(
                ConversationReader(path, ReadOptions())
            )


def _bind_run_recipes(recipe: dict[str, Any]) -> None:
    """Add what every training stage computes at every size: its run recipe with the study's
    overrides.

    Raises `UserError` for one that does not stand, and for a window length other than that of the
    shards."""
    study, length = Study(recipe, pathlib.Path()), recipe["train"]["seq_len"]
    recipe["run_recipes"] = {}
    for size in study.sizes:
        for stage in study.trained_stages:
            keys = study.stage_keys(Run(size, "", 0), stage)
            if keys["seq_len"] != length:
                where = f"{stage} at size {size!r}" if size else stage
                raise UserError(
                    f"{where}: seq_len={keys['seq_len']}, but all shards of a study have windows of"
                    f" config.train.seq_len={length}; give the same or leave it out"
                )
            content = recipe_file.computed(recipe_file.evaluate(keys))
            recipe["run_recipes"]["/".join(filter(None, (size, stage)))] = content


def _bind_questions(recipe: dict[str, Any]) -> None:
    """Make the paths of conversations and items absolute and add what identifies their content."""
    if "sft" in recipe["stages"] and recipe["sft"].get("data", "grammar") != "grammar":
        data = recipe["sft"]["data"] = _absolute(recipe["sft"]["data"])
        recipe["sft_fingerprint"] = study_data.corpus_fingerprint(
            ConversationReader(data, ReadOptions())
        )
    if recipe["tasks"] and recipe["task_data"] not in ("", "grammar"):
        from divsyn_jax.evaluation import (
            harness,  # lm-evaluation-harness takes seconds to import; only this case needs it
        )

        folder = pathlib.Path(recipe["task_data"]).absolute()
        recipe["task_data"] = str(folder)
        digest = hashlib.sha256()
        for task in harness.task_names(recipe["tasks"]):
            digest.update(task_data.find_items(folder, task).read_bytes())
        recipe["tasks_fingerprint"] = digest.hexdigest()


def _expand(pattern: str) -> list[str]:
    if glob.has_magic(pattern) and not os.path.exists(pattern):
        return sorted(glob.glob(pattern)) or [pattern]
    return [pattern]


def _absolute(corpus: str) -> str:
    """A path or glob made absolute; a data set's name or a URL as it is."""
    return os.path.abspath(corpus) if corpus and study_data.is_local(corpus) else corpus


def _domain(entry: str) -> tuple[str, str]:
    return (entry, entry) if entry in study_data.BUILT_IN else split_name(entry)


def _merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes`, nested keys one by one."""
    merged = dict(base)
    for key, value in changes.items():
        nested = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merged(merged[key], value) if nested else value
    return merged


def workdir_of(recipe, given: str | None) -> pathlib.Path:
    """The study directory, absolute. Raises `UserError` for a URL, and for a path that the commands
    of its runs, which name their shards by it, would take for several.
    """
    files.check_local(given or "")
    place = pathlib.Path(given or f"studies/{recipe['name']}-{study_fingerprint(recipe)[:8]}")
    place = place.absolute()
    if "," in str(place) or len(str(place).splitlines()) > 1:
        raise UserError(
            f"{str(place)!r}: a comma or line break separates folders in the commands of a study;"
            " name another --workdir"
        )
    return place
