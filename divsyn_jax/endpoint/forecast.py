"""The bill before the work: calls, tokens and cost of a plan, as a range."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from divsyn_jax.endpoint.settings import EndpointSettings
from divsyn_jax.endpoint.tokens import TokenRange

# The same words in every dry run that counts the start-up probe.
PROBE_NOTE = (
    "canary: the start-up probe, one call where it passes at once; a model that fumbles takes up to"
    " 6, and as many again for each lower rung of the ladder."
)


@dataclass(frozen=True)
class Planned:
    """`calls` calls of one purpose, each of so many prompt and output tokens."""

    purpose: str
    calls: int
    prompt_tokens: TokenRange
    output_tokens: TokenRange


@dataclass(frozen=True)
class Forecast:
    """What a plan takes when nothing has to be repeated; cost is None without prices."""

    planned: tuple[Planned, ...]
    calls: int
    prompt_tokens: TokenRange
    output_tokens: TokenRange
    cost_low: float | None
    cost_high: float | None

    def to_json(self) -> dict[str, Any]:
        """For a result file."""
        return {
            "calls": self.calls,
            "prompt_tokens": [self.prompt_tokens.low, self.prompt_tokens.high],
            "completion_tokens": [self.output_tokens.low, self.output_tokens.high],
            "cost": None if self.cost_low is None else [self.cost_low, self.cost_high],
        }

    def table(self, settings: EndpointSettings) -> str:
        """One line a purpose and the total."""
        rows = [("purpose", "calls", "prompt tokens", "output tokens", "cost")]
        for plan in (
            *self.planned,
            Planned("total", self.calls, self.prompt_tokens, self.output_tokens),
        ):
            each = 1 if plan.purpose == "total" else plan.calls
            prompt, output = plan.prompt_tokens * each, plan.output_tokens * each
            low, high = (
                settings.cost(prompt.low, output.low),
                settings.cost(prompt.high, output.high),
            )
            cost = "unknown" if low is None or high is None else f"{low:.2f} to {high:.2f}"
            rows.append((plan.purpose, f"{plan.calls:,}", _span(prompt), _span(output), cost))
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if column == 0 else cell.rjust(width)
                for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        )


def forecast(planned: Sequence[Planned], settings: EndpointSettings) -> Forecast:
    """Add up a plan at the user's prices; a call may take all of --reasoning_tokens beside its
    answer, or none.
    """
    thought = TokenRange(0, settings.reasoning_tokens)
    planned = [replace(plan, output_tokens=plan.output_tokens + thought) for plan in planned]
    prompt = sum((plan.prompt_tokens * plan.calls for plan in planned), TokenRange(0, 0))
    output = sum((plan.output_tokens * plan.calls for plan in planned), TokenRange(0, 0))
    return Forecast(
        planned=tuple(planned),
        calls=sum(plan.calls for plan in planned),
        prompt_tokens=prompt,
        output_tokens=output,
        cost_low=settings.cost(prompt.low, output.low),
        cost_high=settings.cost(prompt.high, output.high),
    )


def _span(tokens: TokenRange) -> str:
    return f"{tokens.low:,} to {tokens.high:,}"
