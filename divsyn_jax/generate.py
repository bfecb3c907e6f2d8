"""Let a trained run write.

  python -m divsyn_jax.generate --workdir=runs/350m --prompt="The river" --prompt="In 1842" [--temperature=0.8 --top_p=0.95]

Greedy by default; prompts are continued side by side. --chat puts each prompt as a user's message through the chat template
of a fine-tuned run. Prompts may also come from --prompts_file: one a line, or one JSON string or {"prompt": ...} a line in
a .jsonl file. Prints prompt and continuation; with --json, one object {"prompt", "continuation"} a line.
"""

import json
import os
import pathlib
from collections.abc import Sequence

import jax
from absl import flags

from divsyn_jax import chat_prompts, commandline, decode, sharding, trained_run
from divsyn_jax.commandline import UserError
from divsyn_jax.decode import Sampling

_WORKDIR = flags.DEFINE_string("workdir", None, "Run directory.")
_STEP = flags.DEFINE_integer("step", None, "Checkpoint; default: the newest.")
_PROMPT = flags.DEFINE_multi_string("prompt", [], "Text to continue; may be given several times, '' for none.")
_PROMPTS_FILE = flags.DEFINE_string("prompts_file", None, "File of prompts, one a line.")
_MAX_TOKENS = flags.DEFINE_integer("max_tokens", 64, "Tokens to write at most.", lower_bound=1)
_TEMPERATURE = flags.DEFINE_float("temperature", 0.0, "0: the likeliest token.", lower_bound=0)
_TOP_K = flags.DEFINE_integer("top_k", 0, "Draw from the likeliest so many; 0: all.", lower_bound=0)
_TOP_P = flags.DEFINE_float("top_p", 1.0, "Draw from the likeliest that have this probability together.")
_SEED = flags.DEFINE_integer("seed", 0, "Of the draws.")
_CHAT = flags.DEFINE_bool("chat", False, "Prompts are a user's messages; needs a run with a chat template.")
_JSON = flags.DEFINE_bool("json", False, "Print one JSON object a prompt.")


def generate_texts(
    workdir: pathlib.Path,
    prompts: Sequence[str],
    max_tokens: int,
    sampling: Sampling,
    chat: bool = False,
    step: int | None = None,
) -> list[str]:
    """Continuations of prompts by the checkpoint of `step` (default: the newest) of a run.

    Raises `UserError` when the run is unusable, has no chat template for `chat`, or a prompt leaves no room in its context.
    """
    run = trained_run.open_run(workdir)
    tokenizer = run.tokenizer
    if chat:
        template = chat_prompts.load(workdir / "tokenizer", tokenizer)
        if template is None:
            raise UserError(f"{workdir}: --chat, but the run has no chat template; fine-tune it on conversations")
        ids = [template.encode(template.render([{"role": "user", "content": prompt}])) for prompt in prompts]
    else:
        ids = [[tokenizer.bos_id, *tokens] for tokens in tokenizer.encode(prompts)]
    longest = max(map(len, ids))
    if longest + max_tokens > run.recipe.seq_len:
        lengths = f"a prompt of {longest} tokens and --max_tokens={max_tokens}"
        raise UserError(f"{workdir}: {lengths} do not fit the context of {run.recipe.seq_len}; shorten one")
    mesh = sharding.make_mesh(run.recipe.mesh)
    with jax.set_mesh(mesh):
        params, _ = run.load_params(mesh, step)
        written = decode.generate(run.inference_model, params, mesh, ids, max_tokens, tokenizer.eos_id, sampling)
    return [tokenizer.decode(tokens) for tokens in written]


def read_prompts(path: pathlib.Path) -> list[str]:
    """Prompts of a file. Raises `UserError` naming the line that is wrong."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 (byte {error.start}); convert the file to UTF-8") from None
    if path.suffix != ".jsonl":
        return [line for line in lines if line]
    prompts = []
    for number, line in enumerate(lines, 1):
        try:
            value = json.loads(line)
        except ValueError:
            raise UserError(
                f"{path}:{number}: not JSON; one string or object with 'prompt' a line is expected"
            ) from None
        prompt = value.get("prompt") if isinstance(value, dict) else value
        if not isinstance(prompt, str):
            raise UserError(f"{path}:{number}: a string or an object with 'prompt' is expected")
        prompts.append(prompt)
    return prompts


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; give prompts as --prompt=TEXT")
    workdir = pathlib.Path(commandline.require(_WORKDIR.value, "workdir", "runs/350m"))
    prompts = [*_PROMPT.value, *(read_prompts(pathlib.Path(_PROMPTS_FILE.value)) if _PROMPTS_FILE.value else [])]
    commandline.require(prompts, "prompt", "'Once upon a time'")
    try:
        sampling = Sampling(_TEMPERATURE.value, _TOP_K.value, _TOP_P.value, _SEED.value)
    except ValueError:
        raise UserError(f"--top_p={_TOP_P.value} must be above 0 and at most 1") from None
    texts = generate_texts(workdir, prompts, _MAX_TOKENS.value, sampling, _CHAT.value, _STEP.value)
    for prompt, text in zip(prompts, texts, strict=True):
        if _JSON.value:
            print(json.dumps({"prompt": prompt, "continuation": text}, ensure_ascii=False))
        else:
            print(f"{prompt}\n{text}\n" if _CHAT.value else f"{prompt}{text}\n")


if __name__ == "__main__":
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", os.path.expanduser("~/.cache/divsyn_jax/xla"))
    commandline.run(main, __doc__)
