"""Continuations of prompts by a trained run. The command is divsyn_jax/generate.py."""

import pathlib
from collections.abc import Sequence

import jax

from divsyn_jax.base import json_text
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data import jinja_template
from divsyn_jax.model import decode, decoder
from divsyn_jax.model.decode import Sampling
from divsyn_jax.training import trained_run


def generate_texts(
    workdir: pathlib.Path,
    prompts: Sequence[str],
    max_tokens: int,
    sampling: Sampling,
    chat: bool = False,
    step: int | None = None,
) -> list[str]:
    """Continuations of prompts by the checkpoint of `step` (default: the newest) of a run.

    Raises `UserError` when the run is unusable, has no chat template for `chat`, or a prompt leaves
    no room in its context."""
    run = trained_run.open_run(workdir)
    tokenizer = run.tokenizer
    if chat:
        template = jinja_template.load_chat_template(workdir / "tokenizer", tokenizer)
        if template is None:
            raise UserError(
                f"{workdir}: --chat, but the run has no chat template; fine-tune it on"
                " conversations"
            )
        rendered = [template.render([{"role": "user", "content": prompt}]) for prompt in prompts]
        ids = tokenizer.encode_rendered(rendered)
    else:
        # A prompt that is empty begins where a document does.
        ids = [
            [*tokenizer.opening_ids, *tokens] or tokenizer.context_ids
            for tokens in tokenizer.encode(prompts)
        ]
    longest = max(map(len, ids))
    if longest + max_tokens > run.recipe.seq_len:
        lengths = f"a prompt of {longest} tokens and --max_tokens={max_tokens}"
        raise UserError(
            f"{workdir}: {lengths} do not fit the context of {run.recipe.seq_len}; shorten one"
        )
    mesh = run.inference_mesh()
    with jax.set_mesh(mesh), decoder.exact_products(run.inference_model.dtype):
        params, _ = run.load_params(mesh, step)
        written = decode.generate(
            run.inference_model,
            params,
            mesh,
            ids,
            max_tokens,
            run.stops,
            tokenizer.vocab_size,
            sampling,
        )
    return [
        tokenizer.decode_continuation(prompt, tokens)
        for prompt, tokens in zip(ids, written, strict=True)
    ]


def read_prompts(path: pathlib.Path) -> list[str]:
    """Prompts of a file; blank lines are none. Raises `UserError` naming the line that is wrong."""
    try:
        # Line breaks alone end a line: U+2028 and its like are characters of a prompt.
        text = path.read_bytes().decode("utf-8-sig")
        lines = [line.removesuffix("\r") for line in text.split("\n")]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not UTF-8 (byte {error.start}); convert the file to UTF-8"
        ) from None
    if path.suffix != ".jsonl":
        return [line for line in lines if line]
    prompts = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json_text.parse_json(line)
        except ValueError:
            raise UserError(
                f"{path}:{number}: not JSON; one string or object with 'prompt' a line is expected"
            ) from None
        prompt = value.get("prompt") if isinstance(value, dict) else value
        if not isinstance(prompt, str):
            raise UserError(f"{path}:{number}: a string or an object with 'prompt' is expected")
        prompts.append(prompt)
    return prompts
