"""What a baseline is: one object that carries its function and all that is said of it.

A module of this folder makes its `Baseline`s with `register`; the package imports every module of
the folder, so a new baseline is one new file (and its test). Reports, flags and tables read
`BASELINES`.

Shapes: N documents, E embedding dimensions.
"""

import dataclasses
import functools
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Literal, TypeVar, cast

import numpy as np

from divsyn_jax.base.commandline import UserError
from divsyn_jax.base.words import words
from divsyn_jax.diversity.baselines.shared_text import (
    SharedText,
    cut_texts,
    documents_of_one_length,
    first_documents,
)
from divsyn_jax.diversity.sampling import Sample

PARITY = "diversity-0.3"
DEFAULT, ALL, NONE = "default", "all", "none"  # sets of baselines that --baselines names
Needs = Literal["sample", "texts", "model", "proxy", "vectors"]
_NEEDS: tuple[Needs, ...] = ("sample", "texts", "model", "proxy", "vectors")
_Kept = TypeVar("_Kept")


@dataclasses.dataclass(frozen=True)
class Settings:
    """Which baselines to compute, and how.

    Attributes: names: those to compute; `default` stands for the default set, `all` for all. seed:
      of the order of documents and of K-means. parity: `diversity-0.3` gives the values of that
      package, defects and rounding included, where it has the metric; documents are then read
      whole and words are what white space separates. perplexity_models: none, one, or two (for the
      gap) causal models, as directories or hub names. homogenization_documents: documents whose
      pairs homogenisation reads, at most. perplexity_documents: documents that the perplexity
      models read, at most. proxy: directory of a run of ours whose gradients G-Vendi takes, '' for
      none.

    Raises `UserError` for a value that cannot be used.
    """

    names: Sequence[str] = (DEFAULT,)
    seed: int = 0
    parity: str | None = None
    perplexity_models: Sequence[str] = ()
    homogenization_documents: int = 1000
    perplexity_documents: int = 500
    proxy: str = ""

    def __post_init__(self) -> None:
        for name in self.names:
            if name not in (DEFAULT, ALL) and name not in BASELINES:
                raise UserError(
                    f"--baselines={name}: unknown; choose {DEFAULT}, {ALL}, {NONE} or some of"
                    f" {','.join(baseline_names())}"
                )
        if self.parity not in (None, PARITY):
            raise UserError(f"--parity={self.parity}: unknown; leave it out or give {PARITY}")
        for baseline in BASELINES.values():
            if baseline.check is not None:
                baseline.check(self)

    @property
    def chosen(self) -> frozenset[str]:
        """Names of the baselines to compute."""
        found = set(self.names) - {DEFAULT, ALL}
        if DEFAULT in self.names:
            found |= {name for name, baseline in BASELINES.items() if baseline.default}
        if ALL in self.names:
            found |= set(BASELINES)
        return frozenset(found)


@dataclasses.dataclass(frozen=True)
class Value:
    """What a baseline found.

    Attributes:
      value: the number; None where there is none.
      method: how the interval was made, or why there is none ("no interval: ..."); required beside
        a value.
      ci_low, ci_high: ends of the 95% interval; both or neither.
      reason: why there is no value; required without one.
      warning: what a reader has to know before the number is believed; None for nothing.
      details: what else is written beside the value in score.json.
    """

    value: float | None
    method: str | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    reason: str | None = None
    warning: str | None = None
    details: Mapping[str, object] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.value is None:
            if not self.reason:
                raise ValueError("a baseline without a value gives its reason")
            return
        if (self.ci_low is None) != (self.ci_high is None):
            raise ValueError("an interval has two ends")
        if not self.method or (self.ci_low is None) != self.method.startswith("no interval: "):
            raise ValueError(
                f"method {self.method!r}: a value has an interval and its method, or says why not"
            )

    def to_json(self) -> dict[str, object]:
        """The entry of score.json."""
        if self.value is None:
            return {"value": None, "reason": self.reason}
        ends = {} if self.ci_low is None else {"ci_low": self.ci_low, "ci_high": self.ci_high}
        warning = {} if self.warning is None else {"warning": self.warning}
        return {"value": self.value, **ends, "method": self.method, **warning, **self.details}


def no_value(reason: str) -> Value:
    """No value, and why."""
    return Value(None, reason=reason)


@dataclasses.dataclass(frozen=True)
class BaselineInputs:
    """What baselines may read of one corpus; each part is made when first asked for.

    Attributes:
      sample: the sample that the draws come from.
      order_N: the random order in which documents are read.
      shared: what every compared corpus contributes.
      settings: how to compute.
      embed: makes the sample's unit vectors [N, E]; None where no embedding model is installed.
    """

    sample: Sample
    order_N: np.ndarray
    shared: SharedText
    settings: Settings
    embed: Callable[[], np.ndarray] | None
    _kept: dict[Hashable, object] = dataclasses.field(default_factory=dict, repr=False)

    @functools.cached_property
    def texts(self) -> list[str]:
        """The whole documents."""
        return [self.sample.texts[position] for position in self.order_N]

    @functools.cached_property
    def words(self) -> list[list[str]]:
        """The words of `texts`, segmented once for all baselines."""
        return [words(text) for text in self.texts]

    @functools.cached_property
    def lengths(self) -> list[int]:
        """Words of each of `texts`."""
        return [len(document) for document in self.words]

    @functools.cached_property
    def shared_texts(self) -> list[str]:
        """The first documents, `shared.words` words in all."""
        return cut_texts(self.texts, self.lengths, self._shared)

    @functools.cached_property
    def shared_words(self) -> list[list[str]]:
        """The words of `shared_texts`."""
        return [self.words[document][:kept] for document, kept in self._shared]

    @functools.cached_property
    def matched_texts(self) -> list[str]:
        """Documents of one length where lengths are matched, else `shared_texts`."""
        return cut_texts(self.texts, self.lengths, self._matched)

    @functools.cached_property
    def matched_words(self) -> list[list[str]]:
        """The words of `matched_texts`."""
        return [self.words[document][:kept] for document, kept in self._matched]

    @functools.cached_property
    def vectors_NE(self) -> np.ndarray:
        """Unit vectors of the documents, as many as every compared corpus has."""
        if self.embed is None:
            raise ValueError("there are no vectors: this baseline lacks needs='vectors'")
        return self.embed()[self.order_N[: self.shared.documents]]

    @property
    def document_words(self) -> dict[str, object]:
        """How long the documents were that a metric read; None is whole."""
        return {"document_words": self.shared.document_words}

    def once(self, make: Callable[["BaselineInputs"], _Kept]) -> _Kept:
        """`make(self)`, computed at the first call: for what several baselines share."""
        if make not in self._kept:
            self._kept[make] = make(self)
        return cast(_Kept, self._kept[make])

    @functools.cached_property
    def _shared(self) -> list[tuple[int, int]]:
        return first_documents(self.lengths, self.shared.words)

    @functools.cached_property
    def _matched(self) -> list[tuple[int, int]]:
        return documents_of_one_length(self.lengths, self.shared)


@dataclasses.dataclass(frozen=True)
class Baseline:
    """One measure of diversity beside the cluster-agent metric.

    Attributes:
      name: its name in flags, score.json and tables; what a setting makes another metric of (a
        temperature) is in it.
      function: computes it.
      needs: what it reads: the `sample` as a whole, `texts` within the shared text, a causal
        language `model`, a run of ours as `proxy`, or embedding `vectors`.
      direction: whether more diverse corpora have `up` or `down` values; `none` for a size.
      meaning: what it is, in one sentence without a full stop.
      source: who defined it.
      depends_on: what else moves it; the shared text of a comparison holds that equal.
      default: whether it is computed when --baselines says nothing.
      parity: whether `Settings.parity` changes it.
      check: raises `UserError` for settings that it cannot use, before any work is done.
      title: what the field calls it, for tables; by default its name without underscores.
    """

    name: str
    function: Callable[[BaselineInputs], Value]
    needs: Needs
    direction: Literal["up", "down", "none"]
    meaning: str
    source: str
    depends_on: str
    default: bool = True
    parity: bool = False
    check: Callable[[Settings], None] | None = None
    title: str = ""

    def __post_init__(self) -> None:
        if self.needs not in _NEEDS:
            raise ValueError(f"{self.name}: needs {self.needs!r}; one of {', '.join(_NEEDS)}")

    @property
    def words(self) -> str:
        """`title`, or its default."""
        return self.title or self.name.replace("_", " ")

    @property
    def sentence(self) -> str:
        """The meaning with its direction, for readers of tables."""
        reads = {"up": "more is more diverse", "down": "less is more diverse"}
        return f"{self.meaning}: {reads.get(self.direction, 'a size, not a diversity')}"


BASELINES: dict[str, Baseline] = {}


def register(baseline: Baseline) -> Baseline:
    """Enter a baseline, so that it is offered; raises `ValueError` for a name that is taken."""
    if baseline.name in BASELINES or baseline.name in (DEFAULT, ALL, NONE):
        raise ValueError(f"two baselines are named {baseline.name}")
    BASELINES[baseline.name] = baseline
    return baseline


def baseline_names() -> tuple[str, ...]:
    """Every baseline offered: those of the sample first, then of texts, models, a proxy and
    vectors."""
    return tuple(sorted(BASELINES, key=lambda name: _NEEDS.index(BASELINES[name].needs)))
