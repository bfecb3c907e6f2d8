"""Chat templates in Jinja, in the conventions of transformers, such as models of others bring.

One lies beside a tokenizer: in chat_template.jinja, or under chat_template in
tokenizer_config.json. Nobody can forge a turn or an end: wherever a message itself holds the text
of one of the tokenizer's control ids, a space is put after that text's first character."""

import dataclasses
import json
import pathlib
from collections.abc import Mapping, Sequence

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.base.contained_files import contained
from divsyn_jax.data import template_renderer
from divsyn_jax.data.chat import TEMPLATE_FILE, Message, broken, encode_parts
from divsyn_jax.data.tokenizer import Tokenizer

LONGEST_TEMPLATE = 1 << 20  # bytes
_CONFIG_FILE = "tokenizer_config.json"
# Opens a conversation that has no system message with one.
_WITH_SYSTEM_PROMPT = (
    "{%%- if messages[0]['role'] != 'system' -%%}{%%- set messages = [{'role': 'system', 'content':"
    " %s}] + messages -%%}{%%- endif -%%}\n"
)


@dataclasses.dataclass(frozen=True)
class JinjaTemplate:
    """A Jinja template, and the tokenizer its text is for.

    Attributes:
      template: its text.
      tokenizer: writes what is rendered.
      place: where the template was found, for messages.
    """

    template: str
    tokenizer: Tokenizer
    place: str = TEMPLATE_FILE

    def with_system_prompt(self, system_prompt: str) -> "JinjaTemplate":
        """The template that opens a conversation without a system message with this one; itself
        for ''.
        """
        if not system_prompt:
            return self
        opening = _WITH_SYSTEM_PROMPT % json.dumps(system_prompt, ensure_ascii=False)
        return dataclasses.replace(self, template=opening + self.template)

    def jinja(self) -> str:
        """The template's text."""
        return self.template

    def render(
        self, messages: Sequence[Mapping[str, str]], add_generation_prompt: bool = True
    ) -> str:
        """The conversation ({role, content} each) as text; with `add_generation_prompt` it ends
        where a response begins.

        Raises `UserError` where the template refuses the conversation, fails, or goes beyond the
        limits of template_renderer.py.
        """
        plain = [{**message, "content": self._plain(message["content"])} for message in messages]
        return template_renderer.render(
            self.template,
            {
                "messages": plain,
                "add_generation_prompt": add_generation_prompt,
                **self.tokenizer.named_texts,
                # Templates ask whether these are none, which what is undefined is not.
                "tools": None,
                "documents": None,
            },
            self.place,
        )

    def encode_conversations(
        self, tokenizer: Tokenizer, conversations: Sequence[Sequence[Message]]
    ) -> list[tuple[list[int], list[bool]]]:
        """For each conversation its token ids, and for each token whether it is of a response.

        A response ends with the control text that the template closes it with (where there is one);
        it is tokenised apart from what precedes it, as it is when a model continues a prompt.

        Raises `UserError` for a template that renders the beginning of a conversation differently
        when the conversation goes on: what a response follows is then not what a model would be
        asked with."""
        return encode_parts([self._parts(messages) for messages in conversations], tokenizer)

    def _parts(self, messages: Sequence[Message]) -> list[tuple[str, bool]]:
        """The rendered text in parts, each with whether it is a response."""
        parts: list[tuple[str, bool]] = []
        done = ""
        for turn, message in enumerate(messages):
            if message["role"] != "assistant":
                continue
            prompt = self.render(messages[:turn])
            answered = self.render(messages[: turn + 1], add_generation_prompt=False)
            if not (prompt.startswith(done) and answered.startswith(prompt)):
                raise UserError(
                    f"{self.place}: renders the first {turn + 1} messages of a conversation"
                    " differently when it goes on, so its responses cannot be told from prompts;"
                    " give another --chat_template=FILE, or conversations of one turn"
                )
            response = answered[len(prompt) :]
            if not response.strip():
                raise UserError(
                    f"{self.place}: leaves the response of message {turn + 1} out, so there is"
                    " nothing to learn; give another --chat_template=FILE"
                )
            end = self._end_of_response(response)
            parts += [(prompt[len(done) :], False), (response[:end], True)]
            done = prompt + response[:end]
        if not done:
            raise UserError(f"{self.place}: a conversation without a response")
        whole = self.render(messages, add_generation_prompt=False)
        return [*parts, (whole[len(done) :], False)] if whole[len(done) :] else parts

    def _end_of_response(self, response: str) -> int:
        """Where the last control text in a rendered response ends; without one, the whole is it."""
        ends = [
            response.rindex(text) + len(text)
            for text in self.tokenizer.special_texts
            if text in response
        ]
        return max(ends, default=len(response))

    def _plain(self, content: str) -> str:
        """`content` with every text broken that stands for a control id."""
        for text in self.tokenizer.special_texts:
            content = content.replace(text, broken(text))
        return content


def load_chat_template(folder: pathlib.Path, tokenizer: Tokenizer) -> JinjaTemplate | None:
    """The chat template beside the tokenizer in `folder`, None where there is none.

    Raises `UserError` for several of which none is the default, for one that is no text or longer
    than `LONGEST_TEMPLATE` bytes, and for a link that leaves the folder.
    """
    if contained(folder, TEMPLATE_FILE, str(folder)).is_file():
        return read_chat_template(folder / TEMPLATE_FILE, tokenizer)
    path = contained(folder, _CONFIG_FILE, str(folder))
    config = files.read_json(path) if path.is_file() else {}
    found = config.get("chat_template") if isinstance(config, Mapping) else None
    if not found:
        return None
    if isinstance(found, list | Mapping):  # named ones; transformers takes the default
        named = (
            {str(name): template for name, template in found.items()}
            if isinstance(found, Mapping)
            else {
                str(entry.get("name")): entry.get("template")
                for entry in found
                if isinstance(entry, Mapping)
            }
        )
        if "default" not in named:
            raise UserError(
                f"{path}: has chat templates {', '.join(named)[:200] or 'without names'} and no"
                f" default; put the one to use into {TEMPLATE_FILE} beside it"
            )
        found = named["default"]
    if not isinstance(found, str):
        raise UserError(f"{path}: chat_template={str(found)[:80]!r} is not a text")
    try:
        length = len(found.encode("utf-8"))
    except UnicodeEncodeError:
        raise UserError(f"{path}: chat_template holds half a surrogate pair; correct it") from None
    _check_length(length, path)
    return JinjaTemplate(found, tokenizer, str(path))


def read_chat_template(path: pathlib.Path, tokenizer: Tokenizer) -> JinjaTemplate:
    """The chat template in a file.

    Raises `UserError` where it cannot be read, is no text or longer than `LONGEST_TEMPLATE` bytes.
    """
    if not path.is_file():
        raise UserError(f"{path}: no such file; name a file with a Jinja chat template")
    _check_length(path.stat().st_size, path)
    try:
        return JinjaTemplate(path.read_text(encoding="utf-8"), tokenizer, str(path))
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 (byte {error.start}); correct it") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def _check_length(length: int, path: pathlib.Path) -> None:
    if length > LONGEST_TEMPLATE:
        raise UserError(f"{path}: over {LONGEST_TEMPLATE:,} bytes; not a chat template")
