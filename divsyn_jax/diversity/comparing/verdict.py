"""Whether a new corpus is less or more diverse than an old one, as far as their scores can tell."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Literal

from divsyn_jax.base.errors import UserError
from divsyn_jax.base.html import p_equals
from divsyn_jax.diversity.comparison import (
    clusters_of_draws,
    comparison_of,
    headlines,
    profiles_of,
    sampled,
)
from divsyn_jax.diversity.estimation.estimators import hill
from divsyn_jax.diversity.reporting.sentences import Sentence
from divsyn_jax.diversity.score_records import Score

Condition = Literal["less_diverse", "more_diverse", "different"]
_LEVEL = 0.05


@dataclasses.dataclass(frozen=True)
class Change:
    """The effective clusters of a new corpus against those of an old one.

    Attributes:
      old, new: names.
      old_value, new_value: effective clusters of equal numbers of documents.
      low, high: the 95% interval of their ratio, new over old; None where the agent's draws give a
        test of the difference and no interval of the ratio.
      p_value: two-sided; None where nothing varies.
      documents: of each corpus that the values speak of.
    """

    old: str
    new: str
    old_value: float
    new_value: float
    low: float | None
    high: float | None
    p_value: float | None
    documents: int

    @property
    def ratio(self) -> float:
        """New over old."""
        return self.new_value / self.old_value

    def holds(self, condition: Condition, margin: float) -> bool | None:
        """Whether the condition is shown to hold (True), shown not to (False), or neither (None).

        New is shown to be less diverse by more than `margin` where the whole interval of the ratio
        lies under 1 - margin, and shown not to be where it lies above; more diverse is the mirror
        image, 1 / (1 - margin).

        Raises:
          UserError: a margin, where there is no interval of the ratio.
        """
        if self.low is None or self.high is None:
            return self._by_test(condition, margin)
        least, most = 1 - margin, 1 / (1 - margin)
        less, no_less = self.high < least, self.low >= least
        more, no_more = self.low > most, self.high <= most
        shown, denied = {
            "less_diverse": (less, no_less),
            "more_diverse": (more, no_more),
            "different": (less or more, no_less and no_more),
        }[condition]
        return True if shown else False if denied else None

    def _by_test(self, condition: Condition, margin: float) -> bool | None:
        if margin:
            raise UserError(
                "--margin needs scores from all pairs, which --agent=embedding makes; leave it out"
            )
        if self.p_value is None or self.p_value >= _LEVEL:
            return None
        falls = self.new_value < self.old_value
        return {"less_diverse": falls, "more_diverse": not falls, "different": True}[condition]

    def sentence(self) -> Sentence:
        """What changed, by how much and how surely."""
        shown = self.holds("different", 0.0)
        if shown:
            word = "less" if self.new_value < self.old_value else "more"
            template, parts = f"{{}} is {word} diverse than {{}}: ", (self.new, self.old)
        else:
            template, parts = "{} and {} are not told apart: ", (self.new, self.old)
        interval = (
            ""
            if self.low is None or self.high is None
            else f", 95% interval {self.low:.3g} to {self.high:.3g}"
        )
        p = "" if self.p_value is None else f", {p_equals(self.p_value)}"
        return Sentence(
            f"{template}{{}} against {{}} effective clusters of {self.documents:,} documents,"
            f" {self.ratio:.3g} times as many{interval}{p}.",
            (*parts, self.new_value, self.old_value),
        )


def change(old: Score, new: Score) -> Change:
    """What separates two scores.

    Raises:
      UserError: they were not made alike, so that no difference could be laid to the corpora.
    """
    check_made_alike(old, new)
    compared = comparison_of([old, new])
    (row,) = [row for row in compared["differences"] if row["metric"] == "effective_clusters"]
    if row["difference"] is None:
        raise UserError(
            f"{row['first']} and {row['second']}: not compared, {row['reason']}; score both again"
            " with one command"
        )
    (old_value, new_value), documents = _values(old, new)
    return Change(
        old=row["first"],
        new=row["second"],
        old_value=old_value,
        new_value=new_value,
        low=row.get("ratio_ci_low"),
        high=row.get("ratio_ci_high"),
        p_value=row["p_value"],
        documents=documents,
    )


def _values(old: Score, new: Score) -> tuple[tuple[float, float], int]:
    documents = min(sampled(old), sampled(new))
    profiles = profiles_of([old, new])
    if profiles is not None:
        first, second = (found.value for found in headlines(profiles).values())
    else:
        first, second = (
            hill(clusters_of_draws(score)["pair_share"], documents) for score in (old, new)
        )
    return (first, second), documents


def check_made_alike(old: Score, new: Score) -> None:
    """Raise `UserError` unless two scores were made by one judge in one way."""
    first, second = old["corpus"]["name"], new["corpus"]["name"]
    remedy = "score both with one command"
    one, two = old["agent"], new["agent"]
    if (one["kind"], one["model"]) != (two["kind"], two["model"]):
        what = f"{one['kind']} {one['model']}, {two['kind']} {two['model']}"
        raise UserError(f"{first} and {second}: scored by different agents ({what}); {remedy}")
    if one["settings"] != two["settings"]:
        what = _first_difference(one["settings"], two["settings"])
        raise UserError(f"{first} and {second}: scored by different agents ({what}); {remedy}")
    if (profiles_of([old]) is None) != (profiles_of([new]) is None):
        raise UserError(
            f"{first} and {second}: scored by versions that make effective clusters differently;"
            f" {remedy}"
        )
    for what, was, now in zip(_SETTINGS, *map(_settings_of, (old, new)), strict=True):
        if was != now:
            raise UserError(f"{first} and {second}: scored with {what} {was}, {now}; {remedy}")


_SETTINGS = ("first words of documents read", "embedding model", "draws of documents")


def _settings_of(score: Score) -> tuple[object, ...]:
    """The settings that effective clusters depend on, in the order of `_SETTINGS`."""
    settings = score["settings"]
    return (
        # 0.1.0 cut for the agent what it cut for baselines.
        settings.get("judged_words", settings["document_words"]),
        settings.get("embedding_model"),
        None if profiles_of([score]) is not None else settings["sample_size"],
    )


def _first_difference(one: Mapping[str, object], two: Mapping[str, object]) -> str:
    key = next(key for key in sorted({*one, *two}) if one.get(key) != two.get(key))
    return f"{key} {one.get(key)}, {two.get(key)}"


def lengths_note(scores: Sequence[Score], apart: float) -> str | None:
    """What to know where scores made apart are of documents of different lengths; None for
    nothing.

    Args:
      scores: of both corpora.
      apart: the factor between mean lengths from which on it is said.
    """
    means = [score["corpus"]["tokens"] / max(1, score["corpus"]["documents"]) for score in scores]
    cut = any(score["settings"].get("judged_words") for score in scores)
    if cut or min(means) <= 0 or max(means) / min(means) <= apart:
        return None
    return (
        f"mean lengths of documents differ by a factor of {max(means) / min(means):.2g} and were"
        " not matched; name the corpora instead of their scores to compare them at one length"
    )


def renamed_apart(old: Score, new: Score) -> tuple[Score, Score]:
    """The scores with names that differ."""
    name = old["corpus"]["name"]
    if name != new["corpus"]["name"]:
        return old, new
    return _renamed(old, f"{name} (old)"), _renamed(new, f"{name} (new)")


def _renamed(score: Score, name: str) -> Score:
    found = score.copy()
    found["corpus"] = {**score["corpus"], "name": name}
    return found
