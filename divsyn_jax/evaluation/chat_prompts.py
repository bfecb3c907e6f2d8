"""Prompts through the chat template that a run (or imported model) keeps beside its tokenizer."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.chat import TEMPLATE_FILE
from divsyn_jax.data.tokenizer import Tokenizer
from divsyn_jax.evaluation import template_renderer

LONGEST_TEMPLATE = 1 << 20


@dataclasses.dataclass(frozen=True)
class ChatPrompts:
    """A Jinja template in the conventions of transformers, and the tokenizer its text is for."""

    template: str
    tokenizer: Tokenizer

    @property
    def bos(self) -> str:
        """The text that stands for BOS in a rendered prompt."""
        return self.tokenizer.piece(self.tokenizer.bos_id)

    @property
    def eos(self) -> str:
        """The text that stands for EOS in a rendered prompt."""
        return self.tokenizer.piece(self.tokenizer.eos_id)

    def render(
        self, messages: Sequence[Mapping[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """The conversation ({role, content} each) as text; with `add_generation_prompt` it ends
        where a response begins.

        Raises `UserError` where the template refuses it, fails, or goes beyond the limits of
        template_renderer.py.
        """
        return template_renderer.render(
            self.template,
            {
                "messages": [dict(message) for message in messages],
                "add_generation_prompt": add_generation_prompt,
                "bos_token": self.bos,
                "eos_token": self.eos,
            },
            TEMPLATE_FILE,
        )


def load_chat_template(folder: pathlib.Path, tokenizer: Tokenizer) -> ChatPrompts | None:
    """The chat template in the tokenizer folder of a run, None where there is none.

    Raises `UserError` for one that is no text or longer than `LONGEST_TEMPLATE` bytes.
    """
    path = folder / TEMPLATE_FILE
    if not path.is_file():
        return None
    if path.stat().st_size > LONGEST_TEMPLATE:
        raise UserError(f"{path}: over {LONGEST_TEMPLATE:,} bytes; not a chat template")
    try:
        return ChatPrompts(path.read_text(encoding="utf-8"), tokenizer)
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 (byte {error.start}); correct it") from None
