"""Exchange models with the Hugging Face world: a run as a directory that transformers loads, and
the other way round.

  python -m divsyn_jax.export --workdir=runs/350m --output=hf/350m
  python -m divsyn_jax.export --import_from=hf/some-llama --workdir=runs/some-llama

The first writes safetensors, config.json, generation_config.json, the tokenizer (the same ids for
the same text), the chat template where the run has one, and a model card. The second makes a run of
any Llama checkpoint with plain rotary embeddings
(others are refused by name): it serves as init_from of a training run, to evaluate and to generate.
Both hold one parameter (of all layers) in memory at a time."""

import os
import pathlib

from absl import flags

from divsyn_jax.base import commandline
from divsyn_jax.base.commandline import UserError

_WORKDIR = flags.DEFINE_string("workdir", None, "Run directory: read, or made by --import_from.")
_OUTPUT = flags.DEFINE_string("output", None, "Directory to write for transformers.")
_IMPORT_FROM = flags.DEFINE_string(
    "import_from", None, "Hugging Face directory of a Llama checkpoint to make a run of."
)
_STEP = flags.DEFINE_integer("step", None, "Checkpoint to export; default: the newest.")
_MAX_FILE_SIZE_MB = flags.DEFINE_integer(
    "max_file_size_mb", 5000, "Split safetensors above this size.", lower_bound=1
)


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    from divsyn_jax.huggingface import exchange  # --help does without JAX

    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; see --help")
    workdir = pathlib.Path(commandline.require(_WORKDIR.value, "workdir", "runs/350m"))
    if _IMPORT_FROM.value and _OUTPUT.value:
        raise UserError("--import_from and --output: one at a time")
    if _IMPORT_FROM.value:
        exchange.import_checkpoint(pathlib.Path(_IMPORT_FROM.value), workdir)
        print(
            f"{workdir}: imported from {_IMPORT_FROM.value}; use it as"
            f" --config.init_from={workdir}, or evaluate it"
        )
        return
    output = pathlib.Path(commandline.require(_OUTPUT.value, "output", "hf/350m"))
    exchange.export_run(workdir, output, _MAX_FILE_SIZE_MB.value * 1_000_000, _STEP.value)
    print(f"{output}: transformers.AutoModelForCausalLM.from_pretrained({str(output)!r}) loads it")


if __name__ == "__main__":
    os.environ.setdefault("JAX_PLATFORMS", "cpu")  # files go in and out; no accelerator is needed
    commandline.run(main, __doc__)
