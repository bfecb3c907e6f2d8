"""What is known of a request that a file asked: kept among the facts of the answer cache, so that
every later run of the command goes the same way."""

from dataclasses import asdict, dataclass, field
from typing import Any

from divsyn_jax.endpoint.cache import Cache

# How often the server itself may fail a request before that is its answer.
MOST_FAILURES = 5


@dataclass
class Asked:
    """One request by its custom_id.

    Attributes:
      purpose: of the request.
      completion: the body of the answer, as the server gave it.
      refusal: 'rejected' or 'filtered' where the server refused the request, for good.
      words: the server's, about the refusal or the last failure.
      failures: fingerprints of the lines by which the server failed the request.
      calls: lines taken in that no run has counted yet.
      prompt_tokens, completion_tokens: reported with failures, and not counted yet.
    """

    purpose: str
    completion: dict[str, Any] | None = None
    refusal: str = ""
    words: str = ""
    failures: list[str] = field(default_factory=list)
    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0

    @property
    def is_answered(self) -> bool:
        """Whether asking again would be paying twice."""
        return bool(self.completion is not None or self.refusal) or self.is_given_up

    @property
    def is_given_up(self) -> bool:
        """Whether the server failed it too often."""
        return len(self.failures) >= MOST_FAILURES


def known(cache: Cache, name: str) -> Asked | None:
    """What is known of the request `name`; None where no file asked it."""
    fact = cache.fact(_about(name))
    return None if fact is None else Asked(**fact)


def keep(cache: Cache, name: str, asked: Asked) -> None:
    """Remember it."""
    cache.keep_fact(_about(name), asdict(asked))


def _about(name: str) -> dict[str, str]:
    return {"batch_request": name}
