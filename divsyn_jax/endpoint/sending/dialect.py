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


@dataclass(frozen=True)
class Dialect:
    """How to put a request so that the endpoint takes it.

    Attributes: mode: rung of the ladder in `structured`. length_field: max_tokens, or
      max_completion_tokens for models that want that. sends_seed: whether the sampling seed is
      sent. proven: whether the endpoint has taken a call put this way, or in the way this one was
      adapted from; what it rejects then is taken to be about the request, unless the message is
      about the form.
    """

    mode: str = MODES[0]
    length_field: str = "max_tokens"
    sends_seed: bool = True
    proven: bool = False

    def to_json(self) -> dict[str, Any]:
        """For results and for the cache."""
        return {"mode": self.mode, "length_field": self.length_field, "sends_seed": self.sends_seed}

    def same_form(self, other: "Dialect") -> bool:
        """Whether requests are put alike."""
        return self.to_json() == other.to_json()

    def lower(self) -> "Dialect | None":
        """One rung down; None at the bottom."""
        below = MODES[MODES.index(self.mode) + 1 :]
        return replace(self, mode=below[0]) if below else None

    def after(self, message: str) -> "Dialect | None":
        """What to try after a call was rejected with `message` (HTTP 400, 422); None if it is about
        the request itself.

        Raises `UserError` when the endpoint rejects what the user chose.
        """
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
