"""The types of a hypothesis and of the verdict on it."""

import dataclasses
import enum
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from divsyn_jax.study.hypotheses.evidence import Evidence


class Kind(enum.StrEnum):
    """What a test can come to; the values are the words of reports and of study.json."""

    SUPPORTED = "supported"
    NOT_SUPPORTED = "not supported"
    OPPOSITE = "not supported: the opposite"
    DEPENDS = "it depends on the family"
    CANNOT_TELL = "cannot tell"


@dataclasses.dataclass(frozen=True)
class Verdict:
    """What the data say of a hypothesis.

    Attributes:
      kind: the outcome of the test.
      reason: what it rests on, a sentence without its full stop.
      beside: what else differs between the corpora by over a tenth, whether or not it overturns
        the verdict.
      testable: False where the study lacks what the hypothesis is about; `kind` is then
        CANNOT_TELL.
    """

    kind: Kind
    reason: str
    testable: bool = True
    beside: tuple[str, ...] = ()

    @classmethod
    def not_testable(cls, reason: str) -> "Verdict":
        """The verdict where nothing could be tested."""
        return cls(Kind.CANNOT_TELL, reason, testable=False)


class NotTestable(Exception):
    """Raised inside a test where the study lacks what it needs; the message says what."""


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """A claim and how to test it.

    Attributes:
      id: its name in a study recipe and in study.json.
      source: who claims it: 'study', 'paper' (Chen et al. 2024) or 'recipe'.
      statement: the claim, a sentence without its full stop.
      test: reads the evidence; may raise `NotTestable`.
    """

    id: str
    source: str
    statement: str
    test: Callable[["Evidence"], Verdict]

    def judge(self, evidence: "Evidence") -> "JudgedHypothesis":
        """Test it. What the study lacks becomes a verdict that is not testable."""
        try:
            verdict = self.test(evidence)
        except NotTestable as lacking:
            verdict = Verdict.not_testable(str(lacking))
        return JudgedHypothesis(self.id, self.source, self.statement, verdict)


@dataclasses.dataclass(frozen=True)
class JudgedHypothesis:
    """A hypothesis with its verdict, as study.json holds it."""

    id: str
    source: str
    statement: str
    verdict: Verdict

    def to_json(self) -> dict[str, str | bool | list[str]]:
        """The record of study.json; its first five keys are those of 0.1.0."""
        return {
            "id": self.id,
            "of": self.source,
            "hypothesis": self.statement,
            "verdict": str(self.verdict.kind),
            "because": self.verdict.reason,
            "testable": self.verdict.testable,
            "beside": list(self.verdict.beside),
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> "JudgedHypothesis":
        """The reverse of `to_json`. Raises `ValueError` for a verdict that is none."""
        kind, reason = Kind(record["verdict"]), record["because"]
        testable = record.get("testable")
        if testable is None:  # 0.1.0 said it in words alone
            testable = kind is not Kind.CANNOT_TELL or not _LACKING_OF_0_1_0.match(reason)
        return cls(
            record["id"],
            record["of"],
            record["hypothesis"],
            Verdict(kind, reason, testable, tuple(record.get("beside", ()))),
        )


# All reasons by which 0.1.0 said that a study lacks something.
_LACKING_OF_0_1_0 = re.compile(
    "the study has |too few corpora or no baselines|one seed|no interval for the scores of "
    "|metric not run|one of the two does not vary|.* has no per-item results$"
    r"|\d+ corpora(; a correlation needs| are too few)"
)
