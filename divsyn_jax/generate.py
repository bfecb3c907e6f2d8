"""Let a trained run write.

  python -m divsyn_jax.generate --workdir=runs/350m --prompt="The river" --prompt="In 1842" [--temperature=0.8 --top_p=0.95]

Greedy by default; prompts are continued side by side. --chat puts each prompt as a user's message
through the chat template of a fine-tuned run. Prompts may also come from --prompts_file: one a
line, or one JSON string or {"prompt": ...} a line in a .jsonl file. Prints prompt and continuation;
with --json, one object {"prompt", "continuation"} a line."""

import json
import pathlib

from absl import flags

from divsyn_jax.base import commandline
from divsyn_jax.base.commandline import UserError
from divsyn_jax.training import compilation_cache

_WORKDIR = flags.DEFINE_string("workdir", None, "Run directory.")
_STEP = flags.DEFINE_integer("step", None, "Checkpoint; default: the newest.")
_PROMPT = flags.DEFINE_multi_string(
    "prompt", [], "Text to continue; may be given several times, '' for none."
)
_PROMPTS_FILE = flags.DEFINE_string("prompts_file", None, "File of prompts, one a line.")
_MAX_TOKENS = flags.DEFINE_integer("max_tokens", 64, "Tokens to write at most.", lower_bound=1)
_TEMPERATURE = flags.DEFINE_float("temperature", 0.0, "0: the likeliest token.", lower_bound=0)
_TOP_K = flags.DEFINE_integer("top_k", 0, "Draw from the likeliest so many; 0: all.", lower_bound=0)
_TOP_P = flags.DEFINE_float(
    "top_p", 1.0, "Draw from the likeliest that have this probability together."
)
_SEED = flags.DEFINE_integer("seed", 0, "Of the draws.")
_CHAT = flags.DEFINE_bool(
    "chat", False, "Prompts are a user's messages; needs a run with a chat template."
)
_JSON = flags.DEFINE_bool("json", False, "Print one JSON object a prompt.")


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    from divsyn_jax.evaluation import text_generation  # --help does without JAX
    from divsyn_jax.model.decode import Sampling

    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; give prompts as --prompt=TEXT")
    workdir = pathlib.Path(commandline.require(_WORKDIR.value, "workdir", "runs/350m"))
    prompts = [
        *_PROMPT.value,
        *(
            text_generation.read_prompts(pathlib.Path(_PROMPTS_FILE.value))
            if _PROMPTS_FILE.value
            else []
        ),
    ]
    commandline.require(prompts, "prompt", "'Once upon a time'")
    try:
        sampling = Sampling(_TEMPERATURE.value, _TOP_K.value, _TOP_P.value, _SEED.value)
    except ValueError:
        raise UserError(f"--top_p={_TOP_P.value} must be above 0 and at most 1") from None
    texts = text_generation.generate_texts(
        workdir, prompts, _MAX_TOKENS.value, sampling, _CHAT.value, _STEP.value
    )
    for prompt, text in zip(prompts, texts, strict=True):
        if _JSON.value:
            print(json.dumps({"prompt": prompt, "continuation": text}, ensure_ascii=False))
        else:
            print(f"{prompt}\n{text}\n" if _CHAT.value else f"{prompt}{text}\n")


if __name__ == "__main__":
    compilation_cache.keep_compiled()
    commandline.run(main, __doc__)
