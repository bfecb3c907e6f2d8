"""Tokenise corpora once into shards of fixed token windows.

  build_shards --input=corpus.jsonl.gz --tokenizer=tokenizer --seq_len=2048 --output=shards/corpus --workers=8

writes ArrayRecord shards and manifest.json. The output is the same bytes whatever the number of
workers: shard boundaries follow the order of the input. `--packing=document` makes shards for
evaluation (see divsyn_jax/data/shards.py).

  build_shards --format=chat --input=instructions.jsonl --tokenizer=tokenizer --seq_len=2048 --output=shards/instructions

makes shards for fine-tuning, and for evaluation of its loss: whole conversations packed best-fit,
loss on responses only. The records and the chat template are described in divsyn_jax/data/chat.py.
What is left out is named.

On a cluster, with --output on a file system that all its workers share, and from the environment of
`make env-beam`:

  build_shards ... --runner=FlinkRunner
  --beam_options=--flink_master=host:8081,--environment_type=LOOPBACK
"""

from absl import flags

from divsyn_jax.base import commandline
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.beam_runner import RUNNERS
from divsyn_jax.data.readers import flags as corpus_flags
from divsyn_jax.data.shard_builder import build_shards
from divsyn_jax.data.shards import TEXT_PACKINGS

flags.adopt_module_key_flags(corpus_flags)
_INPUT = flags.DEFINE_list("input", None, "Corpora (comma-separated).")
_TOKENIZER = flags.DEFINE_string("tokenizer", None, "Folder of train_tokenizer, or hf:DIR.")
_OUTPUT = flags.DEFINE_string("output", None, "Folder to write.")
_SEQ_LEN = flags.DEFINE_integer(
    "seq_len",
    2048,
    "Inputs a window feeds to the model; windows hold one token more.",
    lower_bound=2,
)
_FORMAT = flags.DEFINE_enum(
    "format", "text", ["text", "chat"], "chat: conversations, for fine-tuning."
)
_PACKING = flags.DEFINE_enum(
    "packing",
    None,
    TEXT_PACKINGS,
    "Of text: concat (the default) for training, document for evaluation.",
)
_SYSTEM_PROMPT = flags.DEFINE_string(
    "system_prompt",
    "",
    "Opens every conversation that has no system message; evaluation uses the same.",
)
_NAMED = 10  # records that the output names; the manifest names all that are left out
_SHARD_BYTES = flags.DEFINE_integer(
    "shard_bytes", 16 << 20, "Bytes of text in one shard, about.", lower_bound=1
)
_WORKERS = flags.DEFINE_integer("workers", 1, "Processes that tokenise.", lower_bound=1)

_RUNNER = flags.DEFINE_enum(
    "runner", None, RUNNERS, "Write the shards on Apache Beam; default: processes of this machine."
)
_BEAM_OPTIONS = flags.DEFINE_list(
    "beam_options", [], "Options of Beam and its runner, comma-separated."
)


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; corpora are given as --input=A,B")
    inputs = commandline.require(_INPUT.value, "input", "corpus.jsonl.gz")
    tokenizer = commandline.require(_TOKENIZER.value, "tokenizer", "tokenizer")
    output = commandline.require(_OUTPUT.value, "output", "shards/corpus")
    chat = _FORMAT.value == "chat"
    if chat and _PACKING.value:
        raise UserError(
            f"--packing={_PACKING.value}: is for --format=text; conversations are packed best-fit"
        )
    if _SYSTEM_PROMPT.value and not chat:
        raise UserError("--system_prompt is for --format=chat")
    if _BEAM_OPTIONS.value and not _RUNNER.value:
        raise UserError("--beam_options are for --runner")
    manifest = build_shards(
        inputs,
        tokenizer,
        output,
        _SEQ_LEN.value,
        "best_fit" if chat else _PACKING.value or "concat",
        corpus_flags.read_options(),
        _SHARD_BYTES.value,
        _WORKERS.value,
        _SYSTEM_PROMPT.value,
        runner=_RUNNER.value,
        beam_options=_BEAM_OPTIONS.value,
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
        share = manifest["targets"] / manifest["chat"]["inputs"]
        print(
            f"{manifest['chat']['packing_efficiency']:.1%} of inputs used, {share:.1%} of them"
            " before a response token"
        )


def run() -> None:
    """Console-script entry."""
    commandline.run(main, __doc__)
