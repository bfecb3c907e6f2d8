"""The pair judge against a server process over loopback."""

import dataclasses

import pytest

from divsyn_jax.base.commandline import Unfinished
from divsyn_jax.diversity.agents.pair_judge import PairJudge, request
from divsyn_jax.diversity.pairs.agreement import check_judge, control_pairs
from divsyn_jax.endpoint.fence import fence

TEXTS = [f"Document {number} about subject {number % 4}, nothing else." for number in range(20)]
PAIRS = [(TEXTS[one], TEXTS[two]) for one in range(20) for two in range(one)][:47]
TRUTH = [one[-16] == two[-16] for one, two in PAIRS]


@pytest.fixture
def server(serve):
    return serve(brain="tests.diversity.agents.pair_brains:honest")


def test_an_honest_endpoint_gives_the_truth_and_is_paid_once(server, tmp_path):
    judge = PairJudge(server.settings(), 0, tmp_path / "cache.sqlite")
    assert judge.judge(PAIRS) == TRUTH
    calls = len(server.calls())
    assert calls == 10  # 47 pairs, five a call
    again = PairJudge(server.settings(), 0, tmp_path / "cache.sqlite")
    assert again.judge(PAIRS) == TRUTH
    assert len(server.calls()) == calls
    assert judge.judge([]) == []


def test_a_pair_without_a_usable_answer_spoils_no_other(serve):
    server = serve(brain="tests.diversity.agents.pair_brains:refusing")
    found = PairJudge(server.settings(), 0).judge(PAIRS)
    spoiled = ["subject 0" in one + two for one, two in PAIRS]
    assert any(spoiled)
    for answer, truth, lost in zip(found, TRUTH, spoiled, strict=True):
        assert answer is None if lost else answer == truth


def test_a_budget_stops_it_and_a_rerun_goes_on(server, tmp_path):
    settings = server.settings()
    poor = dataclasses.replace(settings, max_calls=3)
    with pytest.raises(Unfinished):
        PairJudge(poor, 0, tmp_path / "cache.sqlite").judge(PAIRS)
    assert PairJudge(settings, 0, tmp_path / "cache.sqlite").judge(PAIRS) == TRUTH


def test_which_document_comes_first_is_random(server):
    PairJudge(server.settings(), 0, pairs_a_call=1).judge(PAIRS)
    shown = fence(PAIRS[0], "seed", 100)
    asked = request(shown, "One kind", {})
    assert list(asked.schema["properties"]) == ["pair_1"]
    assert f"pair_1: {shown.tags[0]} and {shown.tags[1]}" in asked.user


def test_a_judge_of_one_answer_is_not_believed(serve):
    controls = control_pairs(TEXTS, 0)
    texts = [(control.text_first, control.text_second) for control in controls]
    yes = serve(brain="tests.diversity.agents.pair_brains:always")
    assert not check_judge(controls, PairJudge(yes.settings(), 0).judge(texts)).believed
    honest = serve(brain="tests.diversity.agents.pair_brains:honest")
    assert check_judge(controls, PairJudge(honest.settings(), 0).judge(texts)).believed
