"""The exchange rate of a study whose levels vary unique text and breadth independently."""

from collections.abc import Mapping, Sequence
from typing import Any

from divsyn_jax.statistics.exchange import exchange_rate
from divsyn_jax.study.correlations import PRIMARY_METRIC
from divsyn_jax.study.study_file import ExchangeResults, LevelRecord, Outcome


def exchange_results(
    recipe: Mapping[str, Any], levels: Sequence[LevelRecord], measured: Sequence[Outcome]
) -> ExchangeResults | None:
    """By outcome; None for a study whose levels do not all give `unique_tokens` (twins aside)."""
    twins = recipe["null_control"][1:]
    named = {level["name"]: level for level in recipe["levels"] if level["name"] not in twins}
    if not all("unique_tokens" in level for level in named.values()):
        return None
    used = [level for level in levels if level["name"] in named]
    scores = [level["metrics"][PRIMARY_METRIC]["value"] for level in used]
    known = [score for score in scores if score]
    if len(known) < len(used):
        return {"rates": {}, "reason": "a level has no effective clusters"}
    unique = [level["unique_tokens"] for level in used]
    found: ExchangeResults = {"rates": {}, "reason": None}
    for outcome in measured:
        values = [level["performance"][outcome.name]["value"] for level in used]
        try:
            found["rates"][outcome.name] = exchange_rate(unique, known, values)
        except ValueError as error:
            return {"rates": {}, "reason": str(error)}
    return found
