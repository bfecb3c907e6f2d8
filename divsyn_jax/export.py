"""Exchange models with the Hugging Face world: a run as a directory that transformers loads, and
the other way round.

  python -m divsyn_jax.export --workdir=runs/350m --output=hf/350m
  python -m divsyn_jax.export --import_from=hf/some-llama --workdir=runs/some-llama

The first writes safetensors, config.json, generation_config.json, the tokenizer (the same ids for
the same text), the chat template where the run has one, and a model card. The second makes a run of
any checkpoint of Llama (plain rotary embeddings or Llama 3's), Mistral without a sliding window,
Qwen2 or Qwen3, also of a GGUF file of these, dequantised (others are refused by name): it serves as
init_from of a training run, to evaluate and to generate, where texts end at every id that the
checkpoint names as an end. Both hold one parameter (of all layers) in memory at a time."""

import dataclasses
import os
import pathlib
from typing import Annotated

from divsyn_jax.base import commandline, setting_flags
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.setting_flags import Flag


@dataclasses.dataclass(frozen=True)
class _Exchange:
    """What goes where.

    Attributes:
      workdir: run directory: read, or made by --import_from.
      step: checkpoint to export; by default the newest.
      import_from: Hugging Face directory, or .gguf file, of a checkpoint to make a run of.
      output: directory to write for transformers.
      max_file_size_mb: split safetensors above this size, in megabytes.
    """

    workdir: Annotated[pathlib.Path, Flag(example="runs/350m")]
    step: int | None = None
    import_from: pathlib.Path | None = None
    output: pathlib.Path | None = None
    max_file_size_mb: Annotated[int, Flag(at_least=1)] = 5000


_EXCHANGE = setting_flags.define(
    _Exchange,
    {"run": ["workdir", "step", "import_from"], "output": ["output", "max_file_size_mb"]},
)


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    from divsyn_jax.huggingface import exchange  # --help does without JAX

    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; see --help")
    asked = _EXCHANGE.given()
    workdir = asked.workdir
    if asked.import_from and asked.output:
        raise UserError("--import_from and --output: one at a time")
    if asked.import_from:
        exchange.import_checkpoint(asked.import_from, workdir)
        print(
            f"{workdir}: imported from {asked.import_from}; use it as"
            f" --config.init_from={workdir}, or evaluate it"
        )
        return
    output = commandline.require(asked.output, "output", "hf/350m")
    exchange.export_run(workdir, output, asked.max_file_size_mb * 1_000_000, asked.step)
    print(f"{output}: transformers.AutoModelForCausalLM.from_pretrained({str(output)!r}) loads it")


def run() -> None:
    """Console entry."""
    os.environ.setdefault("JAX_PLATFORMS", "cpu")  # files go in and out; no accelerator is needed
    commandline.run(main, __doc__)


if __name__ == "__main__":
    run()
