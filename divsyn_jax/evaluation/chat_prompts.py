"""Prompts through the chat template that a run (or imported model) keeps beside its tokenizer."""

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.chat import TEMPLATE_FILE
from divsyn_jax.data.tokenizer import Tokenizer


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
        """
        from jinja2 import TemplateError
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
        try:
            return environment.from_string(self.template).render(
                messages=messages,
                add_generation_prompt=add_generation_prompt,
                bos_token=self.bos,
                eos_token=self.eos,
                raise_exception=_refuse,
            )
        except TemplateError as error:
            raise UserError(f"{TEMPLATE_FILE}: cannot be rendered ({error})") from None


def load_chat_template(folder: pathlib.Path, tokenizer: Tokenizer) -> ChatPrompts | None:
    """The chat template in the tokenizer folder of a run, None where there is none."""
    path = folder / TEMPLATE_FILE
    return ChatPrompts(path.read_text(encoding="utf-8"), tokenizer) if path.is_file() else None


def _refuse(message: str) -> None:
    raise UserError(f"{TEMPLATE_FILE}: {message}")
