"""How to read a corpus: the settings that every command which reads one shares."""

import dataclasses
from typing import Literal

from divsyn_jax.base.errors import UserError

TEXT_FIELD = "text"  # where nothing else is said, and what files of conversations need not have
ConversationSide = Literal["all", "prompt", "response"]


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """How to read a corpus.

    Attributes:
      text_field: field that holds a document's text, or a conversation; meta.text is the field text
        of the object in field meta. Records without a field text may hold a conversation instead:
        messages, conversations, prompt and completion, instruction and output.
      text_template: the text of a document made of several fields, e.g. '{instruction}\\n{output}';
        instead of --text_field.
      part: which side of a conversation is its text.
      text_unit: what a document is in a text file; paragraphs are separated by blank lines.
      strict: stop at the first malformed line instead of counting it.

    Raises `UserError` for a template that names no field, or that stands beside another choice of
    the text.
    """

    text_field: str = TEXT_FIELD
    text_template: str | None = None
    part: ConversationSide = "all"
    text_unit: Literal["file", "paragraph", "line"] = "file"
    strict: bool = False

    def __post_init__(self) -> None:
        if not self.text_field:
            raise UserError("--text_field is empty: name the field that holds the text")
        if self.text_template is None:
            return
        if self.part != "all":
            raise UserError(
                f"--part={self.part}: --text_template says what the text is; leave one of them out"
            )
        if self.text_field != TEXT_FIELD:
            raise UserError("--text_field and --text_template exclude each other; leave one out")
