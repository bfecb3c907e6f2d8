"""Let a trained run write.

  python -m divsyn_jax.generate --workdir=runs/350m --prompt="The river" --prompt="In 1842" \\
      [--temperature=0.8 --top_p=0.95]

Greedy by default; prompts are continued side by side. --chat puts each prompt as a user's message
through the chat template of a fine-tuned run. Prompts may also come from --prompts_file: one a
line, or one JSON string or {"prompt": ...} a line in a .jsonl file. Prints prompt and continuation;
with --json, one object {"prompt", "continuation"} a line."""

import dataclasses
import json
import pathlib
from typing import Annotated

from divsyn_jax.base import commandline, setting_flags
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.setting_flags import Flag
from divsyn_jax.model.sampling import Sampling
from divsyn_jax.training import compilation_cache


@dataclasses.dataclass(frozen=True)
class _Writing:
    """Which run continues what.

    Attributes:
      workdir: run directory.
      step: checkpoint; by default the newest.
      prompt: text to continue; may be given several times, '' for none.
      prompts_file: file of prompts, one a line.
      chat: prompts are a user's messages; needs a run with a chat template.
      max_tokens: tokens to write, at most.
      json: print one JSON object a prompt.
    """

    workdir: Annotated[pathlib.Path, Flag(example="runs/350m")]
    step: int | None = None
    prompt: Annotated[tuple[str, ...], Flag(repeated=True)] = ()
    prompts_file: pathlib.Path | None = None
    chat: bool = False
    max_tokens: Annotated[int, Flag(at_least=1)] = 64
    json: bool = False


_WRITING = setting_flags.define(
    _Writing,
    {
        "run": ["workdir", "step"],
        "prompts": ["prompt", "prompts_file", "chat"],
        "output": ["max_tokens", "json"],
    },
)
_SAMPLING = setting_flags.define(Sampling, "sampling")


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    from divsyn_jax.evaluation import text_generation  # --help does without JAX

    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; give prompts as --prompt=TEXT")
    asked = _WRITING.given()
    try:
        sampling = _SAMPLING.given()
    except ValueError:
        top_p = _SAMPLING.value("top_p")
        raise UserError(f"--top_p={top_p} must be above 0 and at most 1") from None
    prompts = list(asked.prompt)
    if asked.prompts_file:
        prompts += text_generation.read_prompts(asked.prompts_file)
    commandline.require(prompts, "prompt", "'Once upon a time'")
    texts = text_generation.generate_texts(
        asked.workdir, prompts, asked.max_tokens, sampling, asked.chat, asked.step
    )
    for prompt, text in zip(prompts, texts, strict=True):
        if asked.json:
            print(json.dumps({"prompt": prompt, "continuation": text}, ensure_ascii=False))
        else:
            print(f"{prompt}\n{text}\n" if asked.chat else f"{prompt}{text}\n")


def run() -> None:
    """Console entry."""
    compilation_cache.keep_compiled()
    commandline.run(main, __doc__)


if __name__ == "__main__":
    run()
