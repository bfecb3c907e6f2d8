"""How far can you trust a judge of diversity? Try it on corpora whose order or clusters are known.

  calibrate_agent narrow.jsonl.gz broad.jsonl.gz --output=calibration
  calibrate_agent ladders.json --label_field=prompts=prompt,fields=category --output=calibration
  calibrate_agent labelled.jsonl.gz --label_field=topic --save=calibration.json

The corpora are given in increasing diversity (any form that score_corpus reads), or as one JSON
file that holds several such ladders: [{"ladder": NAME, "files_in_increasing_diversity": [FILE,
...]}, ...], files beside it. --label_field names the field that holds a document's true cluster,
for all ladders or for one by its name. OUTPUT/calibration.json gets, for each ladder, the rank
correlation with the known order, the adjusted Rand index and the slope against labels, sensitivity
to the order of documents, test-retest agreement and effective clusters beside the known number;
OUTPUT/report.html says in words what the judge may be trusted to do; an endpoint's criteria go to
OUTPUT/criteria.json. A stopped command, repeated, embeds nothing twice.

With --save, labelled corpora of one kind of text, in any order, are measured for
score_corpus --calibration: how far apart documents of one kind lie, and of two.
"""

import contextlib
import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Annotated, Any

from divsyn_jax.base import commandline, files, setting_flags, terminal_text
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.setting_flags import Flag
from divsyn_jax.data.readers import flags as corpus_flags
from divsyn_jax.data.readers.corpus import named_corpora
from divsyn_jax.diversity.agents import flags as agent_flags
from divsyn_jax.diversity.agents.kinds import agents_with
from divsyn_jax.diversity.calibration.ladder_files import (
    label_fields_of,
    ladders_in_file,
)
from divsyn_jax.diversity.settings import ScoreSettings


@dataclasses.dataclass(frozen=True)
class _Ladders:
    """The ladders, and what becomes of them.

    Attributes:
      label_field: field that holds a document's true cluster: FIELD, or LADDER=FIELD,..., or both.
      output: directory to write to; may be left out with --save.
      save: file to write the distances of labelled documents to, for score_corpus --calibration.
      kind_of_text: what the labelled documents are, in your words, for --save; by default the names
        of the corpora.
    """

    output: Annotated[pathlib.Path | None, Flag(example="calibration")] = None
    label_field: str = ""
    save: pathlib.Path | None = None
    kind_of_text: str | None = None


_LADDERS = setting_flags.define(
    _Ladders, {"corpora": ["label_field", "kind_of_text"], "output": ["output", "save"]}
)
_SCORE = setting_flags.define(
    ScoreSettings,
    {
        "corpora": ["max_documents"],
        "draws": ["sample_size", "draws", "seed"],
        "output": ["embedding_cache"],
    },
    without=setting_flags.THE_REST,
)
setting_flags.adopt(corpus_flags)
setting_flags.adopt(agent_flags)

CALIBRATION_VERSION = 1  # of calibration.json
MIN_DRAWS = 10  # some are asked again


def run() -> None:
    """Console entry."""
    commandline.run(main, __doc__)


def main(arguments: list[str]) -> None:
    """Calibrate the agent on the ladders named by the positional arguments."""
    if not arguments:
        raise UserError(
            "name corpora in increasing diversity, or one JSON of ladders, and --output=DIR"
        )
    asked = _LADDERS.given()
    output = asked.output
    if asked.save is not None:
        commandline.stop_on_sigterm()
        field = _label_field_of_all(asked)
        settings = _SCORE.given(
            **agent_flags.agent_settings(_SCORE.value("seed")),
            label_field=field,
            embedding_cache=_SCORE.value("embedding_cache"),
            read=corpus_flags.read_options(),
        )
        _save_distances(arguments, asked, settings)
        if output is None:
            return
    elif asked.kind_of_text is not None:
        raise UserError("--kind_of_text is for --save; add that, or leave it out")
    if output is None:
        raise UserError("--output is required, e.g. --output=calibration (or --save=FILE)")
    if output.exists() and not output.is_dir():
        raise UserError(f"--output={output}: exists and is not a folder; name another")
    for name in ("calibration.json", "criteria.json", "report.html"):
        files.check_no_folder(output / name)
    commandline.stop_on_sigterm()
    # Only now the imports that cost time: --help and usage errors answer at once.
    from divsyn_jax.diversity import scoring
    from divsyn_jax.diversity.agents import control_draws, criteria
    from divsyn_jax.diversity.agents.base import ControlledJudge, record_of
    from divsyn_jax.diversity.calibration import calibration
    from divsyn_jax.diversity.calibration import report as calibration_report

    ladders = [
        calibration.Ladder(*parts)
        for parts in _ladders_given(arguments, label_fields_of(asked.label_field))
    ]
    for ladder in ladders:
        if agent_flags.asked().reads_labels and ladder.label_field is None:
            raise UserError(
                f"{agents_with('reads_labels')} needs labels of {ladder.name!r}, e.g."
                " --label_field=topic"
            )
    settings = _SCORE.given(
        **agent_flags.agent_settings(_SCORE.value("seed")),
        answers=output / "cache.sqlite",
        label_field=ladders[0].label_field,
        embedding_cache=_SCORE.value("embedding_cache") or output / "embeddings",
        read=corpus_flags.read_options(),
    )
    # A judge that fails the start-up probe is what calibration is there to show.
    judge = dataclasses.replace(settings.judge, weak_models=True)
    settings = dataclasses.replace(settings, judge=judge)
    if settings.total_draws < MIN_DRAWS:
        raise UserError(
            f"--draws={settings.total_draws}: some are asked again; give {MIN_DRAWS} or more"
        )
    # Every corpus is read before anything is written.
    samples = {ladder.name: _read(ladder, settings) for ladder in ladders}
    rungs = {
        f"{name} {place}": sample
        for name, read in samples.items()
        for place, sample in enumerate(read)
    }
    with (
        files.kept_directory(output),
        contextlib.closing(scoring.make_agent(settings, rungs)) as agent,
    ):
        if agent.criteria:
            criteria.save_criteria(
                output / "criteria.json", agent.criteria, {"agent": agent.settings()}
            )
        warnings = _warnings(agent, rungs)
        for warning in warnings:
            print(f"WARNING: {warning}")
        # An endpoint's are on screen already.
        warnings += [
            f"{agent.model}: {concession}" for concession in agent.usage().get("concessions", ())
        ]
        found = []
        for ladder in ladders:
            figures = calibration.calibrate(
                agent,
                ladder,
                samples[ladder.name],
                sample_size=settings.sample_size,
                draws=settings.total_draws,
                seed=settings.seed,
            )
            _tell(figures)
            found.append(figures)
        if isinstance(agent, ControlledJudge) and agent.control_record is not None:
            warnings.append(f"{agent.model}: {control_draws.line(agent.control_record)}")
        result = {
            "version": CALIBRATION_VERSION,
            "agent": record_of(agent),
            "settings": {
                "sample_size": settings.sample_size,
                "draws": settings.total_draws,
                "seed": settings.seed,
                "max_documents": settings.max_documents,
            },
            "warnings": warnings,
            "ladders": found,
            "usage": agent.usage(),
        }
    files.write_json(output / "calibration.json", result)
    files.write_text(output / "report.html", calibration_report.render_calibration(result))
    print(f"\nReport: {output / 'report.html'}")


def _label_field_of_all(asked: _Ladders) -> str:
    """The field of the labels of --save. Raises `UserError` for flags that do not go with it."""
    assert asked.save is not None
    save, output = asked.save, asked.output
    if output is not None and os.path.abspath(save) == os.path.abspath(output / "calibration.json"):
        raise UserError(f"--save={save}: what --output writes there is another file; name another")
    fields = label_fields_of(asked.label_field)
    field = fields[None] if set(fields) == {None} else None
    if field is None:
        raise UserError("--save needs the field of the labels, one for all: --label_field=FIELD")
    agent = agent_flags.asked()
    if not agent.embeds:
        raise UserError(f"--save is for {agents_with('embeds')}, not --agent={agent.name}")
    files.check_local(save)
    files.check_no_folder(save)
    return field


def _save_distances(arguments: Sequence[str], asked: _Ladders, settings: ScoreSettings) -> None:
    """Measure labelled corpora for score_corpus --calibration."""
    from divsyn_jax.diversity.calibration import labelled_distances

    assert asked.save is not None
    corpora = named_corpora(arguments)
    said = labelled_distances.save_distances(asked.save, corpora, settings, asked.kind_of_text)
    for line in said:
        print(line)


def _warnings(agent: Any, rungs: dict[str, Any]) -> list[str]:
    """What the embedding agent cannot see of the rungs, in words."""
    from divsyn_jax.diversity.agents.base import Embedder

    if not isinstance(agent, Embedder):
        return []
    readings = {name: agent.reading(sample) for name, sample in rungs.items()}
    return [f"{name}: {each.warning}" for name, each in readings.items() if each.warning]


def _read(ladder: Any, settings: Any) -> list[Any]:
    from divsyn_jax.diversity.sampling import read_sample, require_documents

    samples = []
    for spec in ladder.corpora.values():
        sample = read_sample(
            spec,
            settings.read,
            documents=settings.max_documents,
            label_field=ladder.label_field,
            seed=settings.seed,
        )
        require_documents(sample, settings.sample_size)
        samples.append(sample)
    return samples


def _ladders_given(
    arguments: Sequence[str], label_fields: dict[str | None, str]
) -> list[tuple[str, dict[str, str], str | None, str | None]]:
    """(name, corpora, label field, unit) of every ladder."""
    if len(arguments) == 1 and arguments[0].endswith(".json"):
        path = pathlib.Path(arguments[0])
        return ladders_in_file(files.read_json(path), path, label_fields)
    for ladder in label_fields:
        if ladder is not None:
            raise UserError(
                f"--label_field={ladder}={label_fields[ladder]}: the corpora given are one ladder;"
                " name FIELD"
            )
    return [("corpora", named_corpora(arguments), label_fields.get(None), None)]


def _tell(figures: dict[str, Any]) -> None:
    print(f"\n{figures['name']}")
    for verdict in figures["verdicts"]:
        answer = {True: "yes", False: "NO", None: "?"}[verdict["trusted"]]
        said = f"{verdict['claim']}: {verdict['because']}"
        print(f"  {answer:<4}{terminal_text.for_terminal(said, hanging=6)}")


if __name__ == "__main__":
    run()
