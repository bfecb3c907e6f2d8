"""Local items become what the harness reads: prompts and targets are its own."""

import gzip
import json

import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.evaluation import task_data

pytest.importorskip("lm_eval")
from divsyn_jax.evaluation import harness

SIMPLE = {
    "arc_easy": {"text": "What is hot?", "choices": ["ice", "fire", "snow"], "label": 1},
    "piqa": {"text": "open a jar", "choices": ["twist", "shout"], "label": 0},
    "winogrande": {
        "text": "Ann thanked Bo because _ had helped.",
        "choices": ["Ann", "Bo"],
        "label": 1,
    },
    "social_iqa": {
        "text": "Kim fell. What next?",
        "choices": ["sings", "gets up", "eats"],
        "label": 1,
    },
    "hellaswag": {
        "text": "Roof: A man sits. he",
        "choices": ["sings [title] loudly", "works"],
        "label": 1,
    },
    "boolq": {
        "text": "is ice cold?",
        "choices": ["no", "yes"],
        "label": 1,
        "passage": "Ice is cold.",
    },
    "copa": {
        "text": "It rained.",
        "choices": ["The road got wet.", "It was dry."],
        "label": 0,
        "question": "effect",
    },
}
# What the harness makes of them: (context, continuation) of every request, and the target.
EXPECTED = {
    "arc_easy": (
        [("Question: What is hot?\nAnswer:", f" {c}") for c in ("ice", "fire", "snow")],
        1,
    ),
    "piqa": (
        [("Question: open a jar\nAnswer:", " twist"), ("Question: open a jar\nAnswer:", " shout")],
        0,
    ),
    "winogrande": (
        [
            ("Ann thanked Bo because Ann", " had helped."),
            ("Ann thanked Bo because Bo", " had helped."),
        ],
        1,
    ),
    "social_iqa": (
        [("Q: Kim fell. What next?\nA:", f" {c}") for c in ("sings", "gets up", "eats")],
        1,
    ),
    "hellaswag": (
        [("Roof: A man sits. He", " sings. loudly"), ("Roof: A man sits. He", " works")],
        1,
    ),
    "boolq": (
        [("Ice is cold.\nQuestion: is ice cold?\nAnswer:", f" {c}") for c in ("no", "yes")],
        1,
    ),
    # Two spaces: the harness's own quirk, kept to be comparable.
    "copa": (
        [("It rained therefore", "  the road got wet."), ("It rained therefore", "  it was dry.")],
        0,
    ),
}


def requests_of(task, folder):
    (opened,) = harness.open_tasks([task], folder)
    opened.set_config(key="num_fewshot", value=0)
    opened.build_all_requests()
    return opened, [instance.args for instance in opened.instances]


@pytest.mark.parametrize("task", SIMPLE)
def test_the_simple_form_gives_the_harness_prompts(tmp_path, task):
    (tmp_path / f"{task}.jsonl").write_text(json.dumps(SIMPLE[task]) + "\n")
    opened, requests = requests_of(task, tmp_path)
    expected, label = EXPECTED[task]
    assert requests == expected
    target = opened.doc_to_target(opened.eval_docs[0])
    if task == "winogrande":
        assert opened.doc_to_text(opened.eval_docs[0]) == label
    elif task == "copa":
        assert target == " the road got wet."
    else:
        assert int(target) == label


def test_fields_of_the_harness_pass_through(tmp_path):
    item = {
        "question": "Q?",
        "choices": {"text": ["x", "y"], "label": ["1", "2"]},
        "answerKey": "2",
    }
    (tmp_path / "arc_challenge.jsonl.gz").write_bytes(
        gzip.compress((json.dumps(item) + "\n").encode())
    )
    opened, requests = requests_of("arc_challenge", tmp_path)
    assert requests == [("Question: Q?\nAnswer:", " x"), ("Question: Q?\nAnswer:", " y")]
    assert opened.doc_to_target(opened.eval_docs[0]) == 1


def test_blimp_is_one_task_of_all_paradigms(tmp_path):
    items = [
        {"sentence_good": "Ann sings.", "sentence_bad": "Ann sing.", "category": c}
        for c in ("a", "b")
    ]
    (tmp_path / "blimp.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    _, requests = requests_of("blimp", tmp_path)
    assert len(requests) == 4
    assert requests[0][1].strip() == "Ann sings."


@pytest.mark.parametrize(
    ("task", "line", "message"),
    [
        ("arc_easy", "{", "arc_easy.jsonl:1: "),
        ("arc_easy", "[1]", "a JSON object is expected"),
        ("arc_easy", json.dumps({**SIMPLE["arc_easy"], "label": 3}), "index into the 3 choices"),
        ("arc_easy", json.dumps({**SIMPLE["arc_easy"], "choices": ["x"]}), "at least two"),
        (
            "piqa",
            json.dumps({**SIMPLE["piqa"], "choices": ["x", "y", "z"]}),
            "piqa has 2 choices, not 3",
        ),
        ("winogrande", json.dumps({**SIMPLE["winogrande"], "text": "no blank"}), "the blank"),
        (
            "boolq",
            json.dumps({k: v for k, v in SIMPLE["boolq"].items() if k != "passage"}),
            "'passage'",
        ),
        (
            "copa",
            json.dumps({k: v for k, v in SIMPLE["copa"].items() if k != "question"}),
            "cause or effect",
        ),
        (
            "hellaswag",
            json.dumps({**SIMPLE["hellaswag"], "text": "no activity"}),
            "activity: context",
        ),
    ],
)
def test_a_wrong_line_is_named(tmp_path, task, line, message):
    (tmp_path / f"{task}.jsonl").write_text(line + "\n")
    with pytest.raises(UserError, match=f"{task}.jsonl:1: ") as error:
        task_data.read(tmp_path / f"{task}.jsonl", task)
    assert message in str(error.value)


def test_missing_files_and_fields_are_named(tmp_path):
    with pytest.raises(UserError, match="no piqa.jsonl"):
        harness.open_tasks(["piqa"], tmp_path)
    with pytest.raises(UserError, match="no such folder"):
        harness.open_tasks(["piqa"], tmp_path / "nowhere")
    (tmp_path / "arc_easy.jsonl").write_text("\n")
    with pytest.raises(UserError, match="arc_easy.jsonl"):
        harness.open_tasks(["arc_easy"], tmp_path)
    (tmp_path / "arc_easy.jsonl").write_text('{"wrong": "field"}\n')
    with pytest.raises(UserError, match="arc_easy"):
        harness.open_tasks(["arc_easy"], tmp_path)
