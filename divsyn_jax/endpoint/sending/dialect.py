"""What an endpoint was found to accept.

Every concession is remembered in the cache and named in results.
"""

import re
from dataclasses import dataclass, replace
from typing import Any

from divsyn_jax.base.commandline import UserError
from divsyn_jax.endpoint.answers.parsing import MODES

# A prompt that is too long is rejected with the field's name too; only a field that is refused has
# a successor.
_REFUSED_FIELD = re.compile(r"unsupported|not supported|instead", re.IGNORECASE)
_ABOUT_FORMAT = re.compile(
    r"response_format|json_schema|json_object|schema|grammar|structured", re.IGNORECASE
)
# Chat templates without a system turn (Gemma, early Mistral) raise such words; some servers pass
# them on as HTTP 500.
_NO_SYSTEM_ROLE = re.compile(
    r"system (?:role|message|prompt|instruction)s?\b.{0,40}"
    r"(?:not|n't|no longer|un|in)[ -]?(?:be )?(?:support|allow|enabl|accept|permit|valid)"
    r"|(?:not|n't|no longer|un) ?(?:support|allow|accept|permit)\w*.{0,40}\bsystem\b.{0,12}"
    r"(?:role|message|prompt|instruction)"
    r"|(?:developer|system) instruction is not enabled"
    r"|(?:unknown|unexpected|invalid|unsupported) (?:message )?role\W{0,12}system\b"
    r"|role\W{0,4}system\W{0,4}.{0,20}(?:not|un)[ -]?(?:support|allow|accept)"
    r"|(?:only user and assistant|user,? (?:and|or) (?:model|assistant)) roles"
    r"|roles must alternate",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Dialect:
    """How to put a request so that the endpoint takes it.

    Attributes: mode: rung of the ladder in `structured`. length_field: max_tokens, or
      max_completion_tokens for models that want that. sends_seed: whether the sampling seed is
      sent. system_role: whether there is a system turn; else its text stands in the user's. proven:
      whether the endpoint has taken a call put this way, or in the way this one was adapted from;
      what it rejects then is taken to be about the request, unless the message is about the form.
    """

    mode: str = MODES[0]
    length_field: str = "max_tokens"
    sends_seed: bool = True
    system_role: bool = True
    proven: bool = False

    def to_json(self) -> dict[str, Any]:
        """For results and for the cache."""
        return {
            "mode": self.mode,
            "length_field": self.length_field,
            "sends_seed": self.sends_seed,
            **({} if self.system_role else {"system_role": False}),
        }

    def same_form(self, other: "Dialect") -> bool:
        """Whether requests are put alike."""
        return self.to_json() == other.to_json()

    def lower(self) -> "Dialect | None":
        """One rung down; None at the bottom."""
        below = MODES[MODES.index(self.mode) + 1 :]
        return replace(self, mode=below[0]) if below else None

    def without_system(self, message: str) -> "Dialect | None":
        """This one without a system turn, if `message` says that there can be none."""
        refused = self.system_role and _NO_SYSTEM_ROLE.search(message)
        return replace(self, system_role=False) if refused else None

    def after(self, message: str) -> "Dialect | None":
        """What to try after a call was rejected with `message` (HTTP 400, 422); None if it is about
        the request itself.

        Raises `UserError` when the endpoint rejects what the user chose.
        """
        if (folded := self.without_system(message)) is not None:
            return folded
        wants_another = "max_completion_tokens" in message and _REFUSED_FIELD.search(message)
        if self.length_field == "max_tokens" and wants_another:
            return replace(self, length_field="max_completion_tokens")
        if self.sends_seed and re.search(r"\bseed\b", message):
            return replace(self, sends_seed=False)
        if not self.proven and re.search(r"\btemperature\b", message):
            raise UserError(
                f"--temperature: the endpoint rejects it ({message}); models that fix it want"
                " --temperature=1"
            )
        if not self.proven or _ABOUT_FORMAT.search(message):
            return self.lower()
        return None
