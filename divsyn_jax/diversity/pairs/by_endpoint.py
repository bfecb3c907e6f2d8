"""Pairs of one corpus judged by an endpoint: control pairs first, then half as a pilot, then the
rest where it helps most.
"""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from divsyn_jax.base.errors import Unfinished
from divsyn_jax.diversity.agents.pair_judge import ONE_KIND, PAIRS_A_CALL, PairJudge, request
from divsyn_jax.diversity.pairs.agreement import CONTROL_PAIRS, check_judge, control_pairs
from divsyn_jax.diversity.pairs.estimate import PILOT, judge_in_two_phases
from divsyn_jax.diversity.pairs.judged import control_record, judged_record, nothing_judged
from divsyn_jax.diversity.pairs.records import JudgedRecord
from divsyn_jax.diversity.settings import ScoreSettings
from divsyn_jax.endpoint.fence import fence
from divsyn_jax.endpoint.forecast import Planned
from divsyn_jax.endpoint.settings import EndpointSettings
from divsyn_jax.endpoint.tokens import TokenRange, estimate_tokens

_MEASURED = 20  # calls of each corpus, whose real prompts are counted for a dry run


class EndpointPairs:
    """A pair judge for several corpora under one budget."""

    def __init__(
        self, endpoint: EndpointSettings, settings: ScoreSettings, spent: Mapping[str, Any]
    ) -> None:
        """`spent`: the usage of whoever asked the same endpoint in this run before."""
        self._endpoint, self._settings = endpoint, settings
        self._spent = spent
        self.usage: dict[str, Any] = {}  # of all corpora
        self._of_corpus: dict[str, Any] = {}

    def judge_corpus(self, texts: Sequence[str], vectors_NE: np.ndarray) -> JudgedRecord:
        """What the endpoint's answers about pairs of this sample say.

        Raises:
          Unfinished: the endpoint stopped or a budget is used up; a rerun goes on.
        """
        self._of_corpus = {}
        return self._judge_corpus(texts, vectors_NE)

    def _judge_corpus(self, texts: Sequence[str], vectors_NE: np.ndarray) -> JudgedRecord:
        seed = self._settings.seed
        controls = control_pairs(texts, seed)
        answers = self._ask([(each.text_first, each.text_second) for each in controls])
        check = check_judge(controls, answers)
        who = {
            "kind": self._settings.pairs.pair_judge,
            "model": self._endpoint.model,
            "settings": self._judge(self._endpoint).settings(),
        }
        known = [control_record(check, check.believed)]
        if not check.believed:
            reason = f"this judge is not to be believed here: {check.rule}"
            return {**nothing_judged(reason, who, known), "usage": self._of_corpus}

        def ask(pairs: Sequence[tuple[int, int]]) -> Sequence[bool | None]:
            return self._ask([(texts[one], texts[two]) for one, two in pairs])

        try:
            found, _ = judge_in_two_phases(vectors_NE, ask, self._settings.pairs.pairs, seed)
        except ValueError as error:
            return {**nothing_judged(f"{error} from it", who, known), "usage": self._of_corpus}
        return {**judged_record(found, who, known), "usage": self._of_corpus}

    def _ask(self, pairs: Sequence[tuple[str, str]]) -> list[bool | None]:
        left = _what_is_left(self._endpoint, added_usage(self._spent, self.usage))
        judge = self._judge(left)
        try:
            found = judge.judge(pairs)
        except Unfinished as stop:
            said = str(stop)
            for limit in ("max_calls", "max_cost"):  # the user's, not what was left of it
                mine, users = getattr(left, limit), getattr(self._endpoint, limit)
                if mine is not None:
                    said = said.replace(f"--{limit}={mine:g} ", f"--{limit}={users:g} ")
            raise Unfinished(said) from None
        self.usage = added_usage(self.usage, judge.usage)
        self._of_corpus = added_usage(self._of_corpus, judge.usage)
        return found

    def _judge(self, endpoint: EndpointSettings) -> PairJudge:
        return PairJudge(
            endpoint,
            self._settings.seed,
            self._settings.answers,
            document_characters=self._settings.judge.document_characters,
        )


def planned_pairs(samples: Mapping[str, Sequence[str]], settings: ScoreSettings) -> Planned:
    """The calls that judging pairs of these corpora takes, at most, for a dry run.

    Args:
      samples: the texts of each corpus.
      settings: with a pair judge.
    """
    calls = 0
    requests = []
    rng = np.random.default_rng(settings.seed)
    for texts in samples.values():
        budget = min(settings.pairs.pairs, len(texts) * (len(texts) - 1) // 2)
        pilot = min(budget, int(settings.pairs.pairs * PILOT))
        phases = (CONTROL_PAIRS, pilot, budget - pilot)
        calls += sum(math.ceil(pairs / PAIRS_A_CALL) for pairs in phases)
        for _ in range(_MEASURED):
            shown = [texts[place] for place in rng.integers(0, len(texts), 2 * PAIRS_A_CALL)]
            fenced = fence(shown, "0", settings.judge.document_characters)
            requests.append(request(fenced, ONE_KIND, {}))
    ranges = [estimate_tokens(each.system, each.user) for each in requests]
    prompt = TokenRange(
        int(np.mean([each.low for each in ranges])), int(np.mean([each.high for each in ranges]))
    )
    return Planned("pairs", calls, prompt, TokenRange(20 * PAIRS_A_CALL, 60 * PAIRS_A_CALL))


def added_usage(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """Counts and costs of both; a cost that one does not know, though it called, is None."""
    if not first or not second:
        return dict(second or first)
    found = {**first, **second}
    for key in first.keys() & second.keys():
        one, two = first[key], second[key]
        if isinstance(one, Mapping) and isinstance(two, Mapping):
            found[key] = {**one, **two}
            for purpose in one.keys() & two.keys():
                found[key][purpose] = added_usage(one[purpose], two[purpose])
        elif one is None or two is None:  # a cost that is unknown, unless nothing was asked
            known = two if one is None else one
            asker = second if two is None else first
            found[key] = None if asker.get("calls") or asker.get("cached_calls") else known
        elif isinstance(one, int | float) and isinstance(two, int | float):
            found[key] = one + two
    return found


def _what_is_left(endpoint: EndpointSettings, spent: Mapping[str, Any]) -> EndpointSettings:
    calls, cost = endpoint.max_calls, endpoint.max_cost
    return dataclasses.replace(
        endpoint,
        max_calls=None if calls is None else max(0, calls - int(spent.get("calls", 0))),
        max_cost=None if cost is None else max(0.0, cost - float(spent.get("cost") or 0.0)),
    )
