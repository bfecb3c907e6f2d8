"""Conversations for supervised fine-tuning: reading them, and the chat template that turns one into
text and tokens.

Records (of a corpus in any form with fields: JSONL, Parquet, tfds:, hf:) hold a conversation in one
of the forms of data/readers/conversations.py, and are read by the rule given there. Beyond it, what
is to be learned from opens with at most one system message, and user and assistant alternate; what
tools answer to one turn of the assistant is one turn of the user.

The template is plain text, so that any lossless tokenizer can write it; BOS opens a conversation
and EOS closes a response:

    <s><|system|>
    You are a helpful assistant.
    <|user|>
    What is two and two?
    <|assistant|>
    Four.</s>
    <|user|>
    ...

A marker that the tokenizer knows as one piece (a SentencePiece user-defined symbol, an added token
of Hugging Face) becomes that one id by itself. A conversation without a system message opens with
the template's own system prompt, when it has one. White space of messages is kept. Nobody can forge
a role or an end: wherever a message itself holds a role marker or the text of a control id of the
tokenizer (BOS, EOS, any other), a space is put after that text's first character (`<|user|>` reads
`< |user|>`), in training, in evaluation and in the Jinja form alike. Only responses, with the EOS
after each, are learned from."""

import dataclasses
import functools
import json
from collections.abc import Iterator, Mapping, Sequence

from divsyn_jax.base.errors import UserError
from divsyn_jax.data.readers.conversations import Message, conversation_fields, messages_of
from divsyn_jax.data.readers.corpus import CorpusReader
from divsyn_jax.data.readers.lines import TooLong
from divsyn_jax.data.readers.records import Document, Malformed
from divsyn_jax.data.tokenizer import Tokenizer

TEMPLATE_FILE = "chat_template.jinja"
ROLES = ("system", "user", "assistant")

_JINJA = """\
{{- bos -}}
{%- if system_prompt and messages[0]['role'] != 'system' -%}
    {{- '<|system|>\\n' ~ system_prompt ~ '\\n' -}}
{%- endif -%}
{%- for message in messages -%}
    {%- set content = namespace(text=message['content']) -%}
    {%- for text in reserved -%}
        {%- set content.text = content.text | replace(text, text[0] ~ ' ' ~ text[1:]) -%}
    {%- endfor -%}
    {{- '<|' ~ message['role'] ~ '|>\\n' ~ content.text -}}
    {%- if message['role'] != 'assistant' -%}
        {{- '\\n' -}}
    {%- else -%}
        {{- eos -}}
        {%- if not loop.last or add_generation_prompt -%}
            {{- '\\n' -}}
        {%- endif -%}
    {%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{- '<|assistant|>\\n' -}}
{%- endif -%}
"""


class ConversationReader(CorpusReader):
    """Iterates over the conversations of one corpus: documents whose `fields["messages"]` hold role
    and content.

    The text of a document is its contents joined by blank lines, so that its fingerprint is that of
    the same corpus with prompt and response in one field. A conversation is malformed unless it is
    an optional system message followed by pairs of user and assistant.

    Attributes: unanswered: conversations skipped because a message is empty, as `file:line: which`;
      `empty` counts them.
    """

    _remedy = "correct the file"

    def __iter__(self) -> Iterator[Document]:
        self.unanswered: list[str] = []
        yield from super().__iter__()

    def _document(self, where: str, record: "bytes | str | Mapping | TooLong") -> Document:
        record = self._decoded(record)
        if isinstance(record, str):
            raise Malformed(
                "plain text holds no roles; give JSONL or Parquet with messages, or prompt and"
                " response"
            )
        messages = _in_turn(messages_of(record, self._rule.left_out))
        return Document(
            "\n\n".join(message["content"] for message in messages), {"messages": messages}, where
        )

    def _text_fields(self, path: str, names: Sequence[str]) -> Sequence[str]:
        fields = conversation_fields(names)
        if not fields:
            raise UserError(
                f"{path}: no column of a conversation (it has: {', '.join(names)}); needs messages,"
                " or prompt and response, or instruction and output"
            )
        return fields

    def _is_empty(self, document: Document) -> bool:
        for message in document.fields["messages"]:
            if not message["content"].strip():
                self.unanswered.append(
                    f"{document.where}: a message of the {message['role']} is empty"
                )
                return True
        return False


def _in_turn(messages: Sequence[Message]) -> list[Message]:
    """The messages with the answers of tools as turns of the user. Raises `Malformed` unless user
    and assistant alternate after an optional system message."""
    checked: list[Message] = []
    is_of_tool = False
    for message in messages:
        is_answer = message["role"] == "tool" and bool(checked)
        if is_answer and is_of_tool:
            checked[-1]["content"] += f"\n\n{message['content']}"
            continue
        is_of_tool = is_answer and checked[-1]["role"] == "assistant"
        checked.append({**message, "role": "user"} if is_of_tool else dict(message))
    if checked and checked[0]["role"] == "system" and not checked[0]["content"].strip():
        del checked[0]  # the same as none
    roles = [message["role"] for message in checked]
    turns = roles[1:] if roles[:1] == ["system"] else roles
    if not turns or turns != ["user", "assistant"] * (len(turns) // 2):
        raise Malformed(
            f"roles are {', '.join(roles) or 'none'}; an optional system, then user and assistant"
            " in turn"
        )
    return checked


@dataclasses.dataclass(frozen=True)
class ChatTemplate:
    """The template of the module's docstring for one tokenizer.

    Attributes: system_prompt: opens a conversation that has no system message of its own; '' for
      none. bos, eos: texts that stand for the tokenizer's BOS and EOS ids (the same for a tokenizer
      with a single separator). special: texts of all control ids of the tokenizer.
    """

    system_prompt: str
    bos: str
    eos: str
    special: tuple[str, ...] = ()

    @classmethod
    def of(cls, tokenizer: Tokenizer, system_prompt: str = "") -> "ChatTemplate":
        """The template for `tokenizer`."""
        bos, eos = tokenizer.piece(tokenizer.bos_id), tokenizer.piece(tokenizer.eos_id)
        return cls(system_prompt, bos, eos, tuple(tokenizer.special_texts))

    def render(self, messages: Sequence[Message], add_generation_prompt: bool = False) -> str:
        """The conversation as text; with `add_generation_prompt` it ends where a response
        begins.
        """
        return "".join(text for text, _ in self._parts(messages, add_generation_prompt))

    def encode_conversations(
        self, tokenizer: Tokenizer, conversations: Sequence[Sequence[Message]]
    ) -> list[tuple[list[int], list[bool]]]:
        """For each conversation its token ids, and for each token whether it is of a response (its
        EOS included).

        A response is tokenised apart from what precedes it, as it is when a model continues a
        prompt."""
        parts = [list(self._parts(messages, False)) for messages in conversations]
        return encode_parts(parts, tokenizer)

    def jinja(self) -> str:
        """The template for `tokenizer.apply_chat_template` of transformers:

        renders what `render` does.
        """
        # Jinja reads the escapes of JSON strings.
        quoted = functools.partial(json.dumps, ensure_ascii=False)
        return (
            f"{{%- set system_prompt = {quoted(self._plain(self.system_prompt))} -%}}\n"
            f"{{%- set bos, eos = {quoted(self.bos)}, {quoted(self.eos)} -%}}\n"
            f"{{%- set reserved = {quoted(self._reserved())} -%}}\n{_JINJA}"
        )

    def _parts(
        self, messages: Sequence[Message], add_generation_prompt: bool
    ) -> Iterator[tuple[str, bool]]:
        """The rendered text in parts, each with whether it is a response."""
        prompt = self.bos
        if self.system_prompt and messages[0]["role"] != "system":
            prompt += _turn("system", self._plain(self.system_prompt))
        for number, message in enumerate(messages, 1):
            if message["role"] != "assistant":
                prompt += _turn(message["role"], self._plain(message["content"]))
                continue
            yield prompt + _opening("assistant"), False
            yield self._plain(message["content"]) + self.eos, True
            prompt = "\n" if number < len(messages) or add_generation_prompt else ""
        if add_generation_prompt:
            prompt += _opening("assistant")
        if prompt:
            yield prompt, False

    def _reserved(self) -> tuple[str, ...]:
        return (
            *(f"<|{role}|>" for role in ROLES),
            *dict.fromkeys((self.bos, self.eos, *self.special)),
        )

    def _plain(self, content: str) -> str:
        """`content` with every text broken that the template gives a meaning."""
        for text in self._reserved():
            content = content.replace(text, broken(text))
        return content


def _opening(role: str) -> str:
    return f"<|{role}|>\n"


def _turn(role: str, content: str) -> str:
    return f"{_opening(role)}{content}\n"


def broken(text: str) -> str:
    """`text`, which stands for an id, so that it stands for none."""
    return f"{text[0]} {text[1:]}"


def encode_parts(
    conversations: Sequence[Sequence[tuple[str, bool]]], tokenizer: Tokenizer
) -> list[tuple[list[int], list[bool]]]:
    """Token ids of rendered conversations, a part at a time, and for each whether it is of a
    response.

    `conversations`: the parts of each, with whether the part is a response."""
    ids = iter(tokenizer.encode_rendered([text for parts in conversations for text, _ in parts]))
    encoded = []
    for parts in conversations:
        tokens: list[int] = []
        of_response: list[bool] = []
        for _, is_response in parts:
            part = next(ids)
            tokens += part
            of_response += [is_response] * len(part)
        encoded.append((tokens, of_response))
    return encoded
