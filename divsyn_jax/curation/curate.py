"""Curate a corpus: drop duplicates and evaluation items, keep the more diverse part.

  divsyn curate corpus.jsonl.gz --output=curated
  divsyn curate corpus.jsonl.gz --output=curated --dedup=exact,minhash,semantic \\
      --decontaminate=arc.jsonl.gz,hellaswag.jsonl.gz
  divsyn curate corpus.jsonl.gz --output=half --keep=0.5 --by=novelsum --quality_field=score

writes OUTPUT/documents.jsonl.zst (or .parquet) with the records that stay as they were, a dataset
card README.md, curation.json (every dropped document with its place, the reason and what it
repeats) and clusters.jsonl (the copies of each document). The corpus is scored before and after,
and beside a random subset of the same size where one was selected. Texts are read in a stream:
memory holds a few numbers a document. The same corpus and settings give the same bytes whatever the
number of workers.

On a cluster, with --output on a file system that all its workers share, and from an environment
with Apache Beam and rensa:

  divsyn curate corpus.jsonl.gz --output=curated --runner=FlinkRunner \\
      --beam_options=--flink_master=host:8081,--environment_type=LOOPBACK
"""

import dataclasses
import pathlib
import textwrap
from typing import Annotated, Any

from divsyn_jax.base import commandline, setting_flags, terminal_text
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.setting_flags import Flag
from divsyn_jax.curation.settings import CurationSettings
from divsyn_jax.data.readers import flags as corpus_flags

_COLUMNS = 80


@dataclasses.dataclass(frozen=True)
class _Output:
    """Where the corpus goes.

    Attributes:
      output: folder to write; an earlier curated corpus there is replaced.
    """

    output: Annotated[pathlib.Path, Flag(example="curated")]


_OUTPUT = setting_flags.define(_Output, "output")
_CURATION = setting_flags.define(
    CurationSettings,
    {
        "corpora": ["quality_field"],
        "curation": [
            *("dedup", "near_duplicate", "semantic_distance", "decontaminate"),
            *("decontaminate_by", "keep", "by", "seed"),
        ],
        "processes": ["workers", "runner", "beam_options"],
        "output": [
            *("format", "keep_fields", "score_documents", "embedding_cache", "embedding_model"),
        ],
    },
    without=["read"],
)
setting_flags.adopt(corpus_flags)


def run() -> None:
    """Console entry."""
    commandline.run(main, __doc__)


def main(arguments: list[str]) -> None:
    """Curate the corpus that the positional argument names."""
    if len(arguments) != 1:
        few = "name one corpus" if not arguments else f"{len(arguments)} corpora: name one"
        raise UserError(f"{few}, e.g. {commandline.program()} corpus.jsonl.gz --output=curated")
    output = _OUTPUT.given().output
    settings = _CURATION.given(read=corpus_flags.read_options())
    commandline.stop_on_sigterm("run the same command again (vectors are kept)")
    from divsyn_jax.curation.curation import curate_corpus

    summary = curate_corpus(arguments[0], settings, output)
    for line in _lines(summary, output):
        print(line)


def _lines(summary: dict[str, Any], output: pathlib.Path) -> list[str]:
    """What a person wants to know, the answer last."""
    before, after, scores = summary["before"], summary["after"], summary["scores"]
    lines = [f"skipped {problem}" for problem in before["problems"]]
    for reason, count in summary["dropped_by_reason"].items():
        if count:
            lines.append(f"{count:>9,} {reason.replace('_', ' ')}: {summary['reasons'][reason]}")
    items = summary["evaluation_items"]
    if items is not None and items["unchecked"] and items["unchecked"] == items["items"]:
        lines.append("No evaluation item is long enough to be looked for by its words.")
    elif items is not None and items["unchecked"]:
        lines.append(
            f"{items['unchecked']:,} of {items['items']:,} evaluation items have no text of"
            f" {items['fewest_words']} words and were not looked for by their words."
        )
    if after["numbers_written_as_null"]:
        lines.append(f"{after['numbers_written_as_null']:,} numbers that JSON lacks became null.")
    lines.append(
        f"{output / after['file']}: {after['documents']:,} of {before['documents']:,} documents"
        f" stay; card: {output / 'README.md'}"
    )
    answer = scores.get("verdict") or f"Diversity was not measured: {scores['reason']}"
    wrapped = textwrap.wrap(answer, _COLUMNS, break_long_words=False, break_on_hyphens=False)
    return [terminal_text.one_line(line) for line in [*lines, *wrapped]]


if __name__ == "__main__":
    run()
