"""Judges of known character before draws of known answer: in process, and through the agent."""

import dataclasses

import numpy as np
import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.diversity.agents import control_draws
from divsyn_jax.diversity.agents.base import Draws
from divsyn_jax.diversity.agents.judge_settings import JudgeSettings
from divsyn_jax.diversity.agents.llm import LLMAgent
from divsyn_jax.endpoint.fence import fence
from tests.diversity.agents import judge_brains
from tests.endpoint.server_words import serving

K, TOPICS = 10, 12


@pytest.fixture
def sample(make_sample):
    return make_sample(
        [
            {"text": f"A text about subject {number % TOPICS} with the words w{number} and so on."}
            for number in range(120)
        ]
    )


def topic_vectors(sample):
    """Vectors of which those of two topics stand at right angles."""
    topic_N = [int(text.split("subject ")[1].split()[0].lower()) for text in sample.texts]
    return np.eye(TOPICS)[topic_N]


def judged(controls, partition, rng):
    """The verdict on a judge that is a function of the texts in the order shown."""
    labels, orders = [], []
    for documents_K in controls.documents_DK:
        order_K = rng.permutation(len(documents_K))
        shown = [controls.sample.texts[documents_K[place]] for place in order_K]
        label_K = np.empty(len(shown), int)
        label_K[order_K] = partition(shown)
        labels.append(label_K)
        orders.append(order_K)
    return control_draws.verdict(
        controls, np.array(labels), np.array(orders), np.ones(len(labels), bool)
    )


def topics(shown):
    return [int(text.casefold().split("subject")[1].split()[0]) for text in shown]


def splitting(shown):
    return list(range(len(shown)))


def lumping(shown):
    return [topic % 2 for topic in topics(shown)]


def by_place(shown):
    return [place // 2 for place in range(len(shown))]


def everything(shown):
    return [0] * len(shown)


@pytest.mark.parametrize(
    ("partition", "fault"),
    [
        (topics, None),
        (splitting, "splitting"),
        (lumping, "lumping"),
        (by_place, "biased"),
        (everything, "gullible"),
    ],
)
def test_each_fault_is_named(sample, partition, fault):
    for seed in range(5):
        controls = control_draws.make([sample], K, seed, topic_vectors)
        assert set(controls.kinds) == set(control_draws.DRAWS)
        found = judged(controls, partition, np.random.default_rng(seed))
        assert [each.split(":")[0] for each in found["faults"]] == ([fault] if fault else [])
        assert found["usable"] == (fault is None)
        assert ("unusable" in control_draws.line(found)) == (fault is not None)


def test_an_honest_judge_with_errors_is_believed(sample):
    """5% of the documents in a random cluster: under 1% of the runs may be called unusable."""
    controls, rng, runs = control_draws.make([sample], K, 0, topic_vectors), None, 2000
    rng = np.random.default_rng(0)

    def erring(shown):
        return [
            int(rng.integers(100, 100 + K)) if rng.random() < 0.05 else topic
            for topic in topics(shown)
        ]

    assert sum(not judged(controls, erring, rng)["usable"] for _ in range(runs)) < 0.002 * runs


def test_a_document_in_other_white_space_is_the_same_document(sample):
    controls = control_draws.make([sample], K, 0)
    repeated = [
        [controls.sample.texts[place] for place in documents]
        for documents, kind in zip(controls.documents_DK, controls.kinds, strict=True)
        if kind == "repeated"
    ]
    for texts in repeated:
        assert len({" ".join(text.split()).casefold() for text in texts}) == 1
        assert len(set(texts)) == K
    assert controls.missing == ("no draw of documents far apart: no vectors",)


def test_without_far_documents_none_are_asked_about(sample):
    near = control_draws.make([sample], K, 0, lambda sample: np.ones((len(sample), 1)))
    assert "apart" not in near.kinds
    assert "too few far ones" in near.missing[0]


def answering(brain):
    """A server's answers, thought by a judge of tests/diversity/agents/judge_brains.py."""
    import json

    def answer(body, number):
        named = body["response_format"]["json_schema"]
        system, user = (message["content"] for message in body["messages"])
        value = brain(named["name"], system, user, named["schema"], None)
        choice = {"index": 0, "message": {"content": json.dumps(value)}, "finish_reason": "stop"}
        return 200, {"choices": [choice]}

    return answer


@pytest.mark.parametrize(
    ("brain", "fault"),
    [
        ("honest", None),
        ("lumping", "lumping"),
        ("position_biased", "biased"),
        ("moody", "splitting"),
    ],
)
def test_the_agent_names_the_judges_fault(sample, tmp_path, brain, fault, capsys):
    pytest.importorskip("openai")
    from divsyn_jax.endpoint.settings import EndpointSettings

    path = tmp_path / "criteria.json"
    path.write_text('{"sets": [{"metadata": [{"name": "Subject", "sentence": "What about?"}]}]}')
    judge = JudgeSettings(criteria_file=str(path), verification=False)
    draws = Draws(sample, np.arange(2 * K).reshape(2, K))
    with serving(answering(getattr(judge_brains, brain))) as server:
        endpoint = EndpointSettings(server.url, "m")
        agent = LLMAgent(endpoint, judge, 0, None, topic_vectors)
        agent.prepare([sample], K)
        (found,) = agent.partition([draws])
        assert found.labels_DK.shape == (2, K)
        assert [each.split(":")[0] for each in agent.control_record["faults"]] == (
            [fault] if fault else []
        )
        calls = len(server.bodies)
        agent.partition([draws], repetition=1)
        assert len(server.bodies) == calls + 2  # control draws are asked once
        agent.close()
        assert calls == 1 + 2 + sum(control_draws.DRAWS.values())
        assert ("unusable" in capsys.readouterr().err) == (fault is not None)
        strict = LLMAgent(
            endpoint, dataclasses.replace(judge, strict_judge=True), 0, None, topic_vectors
        )
        strict.prepare([sample], K)
        if fault:
            with pytest.raises(UserError, match=f"unusable: {fault}.*strict_judge"):
                strict.partition([draws])
        else:
            strict.partition([draws])
        strict.close()


def test_who_is_asked_cannot_tell_a_control_draw(sample):
    controls = control_draws.make([sample], K, 0, topic_vectors)
    shown = fence([controls.sample.texts[i] for i in controls.documents_DK[0]], "0", 400)
    assert "control" not in shown.text.casefold()
