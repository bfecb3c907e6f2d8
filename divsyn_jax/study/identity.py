"""What makes two studies the same: their resolved recipes, but for how long they may take, what
their results are asked and where their texts lie."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

# How long, not what; and what is asked of the results, not how they come about.
_NOT_IDENTITY = ("budget", "hypotheses")


def study_fingerprint(recipe: Mapping[str, Any]) -> str:
    """Identity of a study: its recipe without time budget, hypotheses and paths of corpora."""
    return hashlib.sha256(json.dumps(_identity(recipe), sort_keys=True).encode()).hexdigest()


def difference(recorded: Mapping[str, Any], recipe: Mapping[str, Any]) -> str:
    """The first key in which the identities of two resolved recipes differ, with both values."""
    was: Any = _identity(recorded)
    now: Any = _identity(recipe)
    place = "config"
    while type(was) is type(now) and isinstance(was, dict | list) and was and now:
        if isinstance(was, list):
            if len(was) != len(now):
                break
            was, now = dict(enumerate(was)), dict(enumerate(now))
        key = next(
            key
            for key in {**was, **now}
            if key not in was or key not in now or was[key] != now[key]
        )
        was, now = was.get(key), now.get(key)
        place += f"[{key}]" if isinstance(key, int) else f".{key}"
    return f"{place} was {_shortened(was)}, now {_shortened(now)}"


def _shortened(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def _identity(recipe: Mapping[str, Any]) -> dict[str, Any]:
    facts = json.loads(
        json.dumps({key: value for key, value in recipe.items() if key not in _NOT_IDENTITY})
    )
    shared = [facts["pretrain"]] if "pretrain" in facts else []
    for record in (*facts["levels"], *shared, *facts["heldout"].values()):
        if "fingerprint" in record:
            record.pop("corpus", None)
            record.pop("sft_corpus", None)
            record.pop("source", None)
    for pool in facts.get("pools", ()):
        if "fingerprint" in pool:
            pool.pop("path")
    if "real_fingerprint" in facts:
        facts.pop("real")
    if "sft_fingerprint" in facts:
        facts["sft"].pop("data")
    if "tasks_fingerprint" in facts:
        facts.pop("task_data")
    return facts
