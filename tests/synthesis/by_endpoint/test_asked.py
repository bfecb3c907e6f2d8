"""Instructions and items by an endpoint."""

import collections
import json

import pytest

from divsyn_jax.data.chat import ConversationReader
from divsyn_jax.data.readers.corpus import ReadOptions
from divsyn_jax.synthesis import record_file
from divsyn_jax.synthesis.by_endpoint.asked import (
    INSTRUCTION_TASKS,
    InstructionForm,
    ItemForm,
    _check_instruction,
    _check_item,
)
from divsyn_jax.synthesis.by_endpoint.forms import RejectedAnswer
from divsyn_jax.synthesis.by_endpoint.gates import Gates
from divsyn_jax.synthesis.by_endpoint.writer import generate_records
from tests.synthesis.by_endpoint.test_generate_by_endpoint import BRAINS, SMALL, grid, run

GATES = Gates(min_words=10, max_words=250)


def generate(server, folder, form):
    endpoints = [server.settings()]
    return generate_records(form.grid, endpoints, GATES, 8, folder, [form])


@pytest.mark.long
@pytest.mark.parametrize("kind", ["instructions", "items"])
def test_exact_counts_under_faults_and_the_same_bytes(serve, tmp_path, kind):
    form = (InstructionForm if kind == "instructions" else ItemForm)(grid(), GATES)
    calm = generate(serve(brain=f"{BRAINS}:fair"), tmp_path / "calm", form)
    faulty = serve(brain=f"{BRAINS}:fair", faults=0.3, slow_s=0.1)
    generate(faulty, tmp_path / "faulty", form)
    made, again = (tmp_path / name / f"{kind}.jsonl.zst" for name in ("calm", "faulty"))
    assert made.read_bytes() == again.read_bytes()
    written = list(record_file.recover(made))
    assert calm[kind] == len(written) == 24
    assert set(collections.Counter(record["cell"] for record in written).values()) == {4}
    rejected = {"instructions": {"schema"}, "items": {"schema", "answer_in_question"}}
    assert set(calm["rejects"]) == rejected[kind]
    if kind == "instructions":
        assert len({record["form"] for record in written}) > 3
        assert len(list(ConversationReader(str(made), ReadOptions()))) == 24
    else:
        assert all(record["choices"][record["label"]].startswith("it ") for record in written)
        assert len({record["label"] for record in written}) > 1


def test_the_command_writes_both(serve, tmp_path):
    server = serve(brain=f"{BRAINS}:fair")
    for kind, count in (("instructions", 6), ("items", 3)):  # items have no styles
        foreseen = run(server, tmp_path / kind, *SMALL, f"--kind={kind}", "--dry_run")
        assert f" {kind} = {count}" in foreseen.stdout, foreseen.stderr
        done = run(server, tmp_path / kind, *SMALL, f"--kind={kind}")
        assert done.returncode == 0, done.stderr
        assert f"{count} {kind}" in done.stdout
        manifest = json.loads((tmp_path / kind / "manifest.json").read_text())
        assert manifest[kind] == count == manifest["grid"]["cells"]


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ({"prompt": "Why?", "response": "Because."}, None),
        ({"prompt": " ", "response": "Because."}, "both need text"),
        ({"prompt": "Why is it so?", "response": "why is it so"}, "not repeat it"),
        ({"prompt": "User: why?", "response": "Because."}, "names of speakers"),
        ({"prompt": "Why?", "response": "So.\nUser: and then?"}, "names of speakers"),
    ],
)
def test_an_instruction_has_two_sides(value, problem):
    found = _check_instruction(value)
    assert (problem is None and not found) or any(problem in each for each in found)


@pytest.mark.parametrize(
    ("choices", "problem"),
    [
        (["red", "blue", "green", "white"], None),
        (["red", "Red.", "green", "white"], "different choices"),
        (["red", "blue", "green"], "different choices"),
        (["red", "blue", "green", "all of the above"], "speak of the others"),
        (["red", "blue", "both of them", "white"], "speak of the others"),
        (["A. red", "B. blue", "C. green", "D. white"], "without letters"),
    ],
)
def test_an_item_has_four_choices_that_can_be_shuffled(choices, problem):
    value = {"question": "Which?", "choices": choices, "answer": 1, "explanation": "It is."}
    found = _check_item(value)
    assert (problem is None and not found) or any(problem in each for each in found)


def test_an_item_that_tells_its_answer_is_none():
    form = ItemForm(grid(), GATES)
    (cell, *_) = grid().cells()
    value = {
        "question": "Since bees dance, how do they tell the way? By that bees dance!",
        "choices": ["bees dance", "they sing", "they write", "they smell it"],
        "answer": 1,
        "explanation": "They dance.",
    }
    assert form.record(form.prompt(cell, 0), cell, 0, value) == RejectedAnswer("answer_in_question")


def test_a_cell_asks_for_one_task_after_another():
    form = InstructionForm(grid(), GATES)
    (cell, *_) = grid().cells()
    asked = [
        form.prompt(cell, candidate).request.user for candidate in range(len(INSTRUCTION_TASKS))
    ]
    assert all(any(task in user for user in asked) for task in INSTRUCTION_TASKS.values())
