"""Tokenise corpora once into shards of fixed token windows.

  build_shards --input=corpus.jsonl.gz --tokenizer=tokenizer --seq_len=2048 \\
      --output=shards/corpus --workers=8

writes ArrayRecord shards and manifest.json. The output is the same bytes whatever the number of
workers: shard boundaries follow the order of the input. `--packing=document` makes shards for
evaluation (see divsyn_jax/data/shards.py).

  build_shards --format=chat --input=instructions.jsonl --tokenizer=tokenizer \\
      --seq_len=2048 --output=shards/instructions

makes shards for fine-tuning, and for evaluation of its loss: whole conversations packed best-fit,
loss on responses only. The records are described in divsyn_jax/data/chat.py. The chat template is
the one beside the tokenizer (chat_template.jinja, or in tokenizer_config.json), or that of
--chat_template=FILE; a tokenizer without one gets that of divsyn_jax/data/chat.py.
What is left out is named.

On a cluster, with --output on a file system that all its workers share, and from the environment of
`make env-beam`:

  build_shards ... --runner=FlinkRunner
  --beam_options=--flink_master=host:8081,--environment_type=LOOPBACK
"""

import dataclasses
from typing import Literal

from divsyn_jax.base import commandline, setting_flags
from divsyn_jax.base.errors import UserError
from divsyn_jax.data.readers import flags as corpus_flags
from divsyn_jax.data.shard_builder import build_shards

_NAMED = 10  # records that the output names; the manifest names all that are left out


@dataclasses.dataclass(frozen=True)
class _Content:
    """What the shards hold.

    Attributes:
      format: what a record is: text, or with chat a conversation, for fine-tuning.
      packing: how windows are cut from text: concat (the default) for training, document for
        evaluation.
    """

    format: Literal["text", "chat"] = "text"
    packing: Literal["concat", "document"] | None = None


setting_flags.adopt(corpus_flags)
_CONTENT = setting_flags.define(_Content, {"corpora": ["format"], "windows": ["packing"]})
_BUILDING = setting_flags.define(
    build_shards,
    {
        "corpora": ["inputs"],
        "windows": ["tokenizer", "seq_len", "system_prompt", "chat_template"],
        "processes": ["workers", "shard_bytes", "runner", "beam_options"],
        "output": ["output"],
    },
    without=["packing", "options"],
)


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; corpora are given as --input=A,B")
    content, building = _CONTENT.given(), _BUILDING.values()
    output, chat = building["output"], content.format == "chat"
    if chat and content.packing:
        raise UserError(
            f"--packing={content.packing}: is for --format=text; conversations are packed best-fit"
        )
    for flag in ("system_prompt", "chat_template"):
        if building[flag] and not chat:
            raise UserError(f"--{flag} is for --format=chat")
    if building["beam_options"] and not building["runner"]:
        raise UserError("--beam_options are for --runner")
    manifest = build_shards(
        **building,
        packing="best_fit" if chat else content.packing or "concat",
        options=corpus_flags.read_options(),
    )
    skipped = sum(source["malformed"] for source in manifest["sources"])
    problems = [problem for source in manifest["sources"] for problem in source["problems"]]
    if chat:
        problems += manifest["chat"]["too_long"]
    for problem in problems[:_NAMED]:
        print(f"skipped {problem}")
    if len(problems) > _NAMED:
        print(f"skipped {len(problems) - _NAMED:,} more, named in {output}/manifest.json")
    left_out = f"{skipped:,} malformed records skipped"
    if chat:
        empty = sum(source["empty"] for source in manifest["sources"])
        left_out += f", {empty:,} empty and {len(manifest['chat']['too_long']):,} too long left out"
    print(
        f"{output}: {manifest['documents']:,} documents, {manifest['tokens']:,} tokens,"
        f" {manifest['windows']:,} windows of {manifest['seq_len']}+1 in {len(manifest['shards'])}"
        f" shards ({left_out})"
    )
    if chat:
        print(f"chat template: {manifest['chat']['template']}")
        share = manifest["targets"] / manifest["chat"]["inputs"]
        print(
            f"{manifest['chat']['packing_efficiency']:.1%} of inputs used, {share:.1%} of them"
            " before a response token"
        )


def run() -> None:
    """Console-script entry."""
    commandline.run(main, __doc__)
