"""What a run asked and spent, by purpose."""

from dataclasses import asdict, dataclass, field
from typing import Any

from divsyn_jax.endpoint.settings import EndpointSettings

_LONGEST_TROUBLE = 80  # characters, on a line with a progress bar


@dataclass
class PurposeUsage:
    """Counts of one purpose in this run.

    Attributes: calls: attempts sent, failed ones too. cached_calls: requests answered from the
      cache. prompt_tokens, completion_tokens: as the server reported them, for every attempt it
      answered. unmetered: answered attempts without token counts; the upper end of our estimate was
      counted for them. re_asks: second questions after an unusable answer. retries: attempts
      repeated because of the server or the line. failed: requests that ended without a usable
      answer. coerced: answers usable only after local repair (fences, prose, types, letter case).
      cached_prompt_tokens, cached_completion_tokens: what the cached answers had taken when they
      were paid.
    """

    calls: int = 0
    cached_calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    unmetered: int = 0
    re_asks: int = 0
    retries: int = 0
    failed: int = 0
    coerced: int = 0
    cached_prompt_tokens: int = 0
    cached_completion_tokens: int = 0

    def count(self, prompt_tokens: int, completion_tokens: int) -> None:
        """Add what an answer reports, whatever it is worth."""
        self.prompt_tokens += prompt_tokens
        self.completion_tokens += completion_tokens


@dataclass
class Usage:
    """Counts by purpose, their total and what they cost; `trouble`: why the last attempt failed,
    empty after one that was answered.
    """

    settings: EndpointSettings
    by_purpose: dict[str, PurposeUsage] = field(default_factory=dict)
    trouble: str = ""

    def of(self, purpose: str) -> PurposeUsage:
        """The counts of one purpose, to be added to."""
        return self.by_purpose.setdefault(purpose, PurposeUsage())

    @property
    def total(self) -> PurposeUsage:
        """Sums over the purposes."""
        total = PurposeUsage()
        for counts in self.by_purpose.values():
            for name, value in asdict(counts).items():
                setattr(total, name, getattr(total, name) + value)
        return total

    @property
    def cost(self) -> float | None:
        """What this run's calls cost; None without prices."""
        total = self.total
        return self.settings.cost(total.prompt_tokens, total.completion_tokens)

    @property
    def cost_with_cached(self) -> float | None:
        """What all answers used cost, those paid by earlier runs included; None without prices."""
        total = self.total
        return self.settings.cost(
            total.prompt_tokens + total.cached_prompt_tokens,
            total.completion_tokens + total.cached_completion_tokens,
        )

    def spent(self) -> str:
        """Calls, repeats, cost so far and what the endpoint says, for a progress bar."""
        total, cost = self.total, self.cost
        parts = [f"{total.calls} calls"]
        if total.retries:
            parts.append(f"{total.retries} repeated")
        if cost is not None:
            parts.append(f"cost {cost:.2f}")
        if self.trouble:
            parts.append(f"last: {self.trouble[:_LONGEST_TROUBLE]}")
        return ", ".join(parts)

    def to_json(self) -> dict[str, Any]:
        """Total, costs and the table, for a result file."""
        return {
            **asdict(self.total),
            "cost": self.cost,
            "cost_with_cached": self.cost_with_cached,
            "by_purpose": {purpose: asdict(counts) for purpose, counts in self.by_purpose.items()},
        }
