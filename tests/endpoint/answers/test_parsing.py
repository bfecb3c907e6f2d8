"""What is repaired, what is refused, and in which words."""

import json

import pytest

from divsyn_jax.endpoint.answers.parsing import messages, parse
from tests.endpoint.questions import question, strict

SCHEMA = strict(
    **{
        "doc-a": {"type": "integer", "minimum": 1, "maximum": 3},
        "doc-b": {"enum": ["Yes", "No"]},
        "ok": {"type": "boolean"},
    }
)
GOOD = {"doc-a": 1, "doc-b": "Yes", "ok": True}
REQUEST = question(0, schema=SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        'Sure!\n```json\n{"doc-a": 1, "doc-b": "Yes", "ok": true}\n```\nHope {this} helps.',
        '{"DOC_A": "1", "Doc-B": " yes ", "OK": "true", "reason": "because"}',
        '{"answer": {"doc-a": 1.0, "doc-b": "YES", "ok": 1}}',
        (
            '<think>perhaps {"doc-a": 2, "doc-b": "No", "ok": false, "and": "so'
            ' on"}</think>{"doc-a":1,"doc-b":"Yes","ok":true}'
        ),
        'For example {"doc-a": 3} but here: {"doc-a": 1, "doc-b": "Yes", "ok": true}',
    ],
)
def test_untidy_answers_are_repaired(text):
    parsed = parse(text, REQUEST)
    assert parsed.value == GOOD
    assert parsed.problems == []
    assert parsed.coerced


def test_an_exact_answer_is_not_repaired():
    assert not parse('{"ok": true, "doc-b": "Yes", "doc-a": 1}', REQUEST).coerced


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no complete JSON object"),
        ('{"doc-a": 1, "doc-b": "Ye', "no complete JSON object"),
        ("[1, 2]", "no complete JSON object"),
        ('{"a":' * 100_000, "no complete JSON object"),
        ('{"doc-a": NaN, "doc-b": "Yes", "ok": true}', "no complete JSON object"),
        ('{"doc-a": 1e999, "doc-b": "Yes", "ok": true}', "no complete JSON object"),
        ('{"doc-a": 1, "doc-a": 2, "doc-b": "Yes", "ok": true}', "given twice"),
        ('{"doc-a": 1, "doc-c": "Yes", "ok": true}', "lacks the key 'doc-b'"),
        ('{"doc-a": 7, "doc-b": "Yes", "ok": true}', "'doc-a' must obey maximum 3"),
        ('{"doc-a": 1.5, "doc-b": "Yes", "ok": true}', "'doc-a' must be of type integer"),
        (
            '{"doc-a": 1, "doc-b": "Perhaps", "ok": true}',
            """'doc-b' must be one of ["Yes", "No"]""",
        ),
        ('{"doc-a": 1, "doc-b": "Yes", "ok": "maybe"}', "'ok' must be of type boolean"),
    ],
)
def test_unusable_answers_are_named(text, problem):
    parsed = parse(text, REQUEST)
    assert any(problem in said for said in parsed.problems), parsed.problems


def test_nothing_of_the_answer_gets_into_the_re_ask():
    parsed = parse(
        '{"doc-a": "evil one", "evil two": 1, "doc-b": {"evil": 3}, "ok": ["evil"]}', REQUEST
    )
    assert len(parsed.problems) == 3
    _, user = messages(REQUEST, "json_schema", parsed.problems)
    assert "evil" not in user["content"]
    assert user["content"].startswith(REQUEST.user)


def test_half_a_surrogate_pair_can_be_written():
    request = question(0, schema=strict(name={"type": "string"}))
    parse('{"name": "a\\ud800"}', request).value["name"].encode("utf-8")


_DRAFT = (
    'Let me try {"doc-a": 2, "doc-b": "No", "ok": false, "and": "much more than asked for"} no. '
)
_FINAL = '{"doc-a": 1, "doc-b": "Yes", "ok": true}'
_MARKERS = [
    ("", "</think>"),
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("", "[/THINK]"),
    ("\u25c1think\u25b7", "\u25c1/think\u25b7"),
    ("", "\u25c1/think\u25b7"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    (
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final<|message|>",
    ),
    (
        "<|channel|>analysis<|message|>",
        "<|end|><|start|>assistant<|channel|>final <|constrain|>json<|message|>",
    ),
    ("analysis", "assistantfinal"),
    ("<THINK>", "</Think>"),
    ('<think type="draft" n=1>', "< / think >"),
    ("<scratch_pad>", "</scratch_pad>"),
    ("<inner_monologue>", "</inner_monologue>"),
    ("<thought_process>", "</thought_process>"),
    ("<rationale>", "</rationale>"),
    ("&lt;think&gt;", "&lt;/think&gt;"),
    ("<|thinking|>", "<|/thinking|>"),
    ("<\uff5cthink\uff5c>", "<\uff5c/think\uff5c>"),
    ("<|thinking_start|>", "<|thinking_end|>"),
    ("<|begin_of_thinking|>", "<|end_of_thinking|>"),
    ("Here are my reasoning steps:\n", "\n[BEGIN FINAL RESPONSE]\n"),
    ("Here is my thought process:\n", "\nHere is my response:\n"),
]


@pytest.mark.parametrize(("opening", "closing"), _MARKERS)
@pytest.mark.parametrize(
    "draft", [_DRAFT, _FINAL.replace("1", "3"), _DRAFT + "\\frac{1}{2} " * 999]
)
def test_a_draft_in_the_reasoning_is_no_answer(opening, closing, draft):
    parsed = parse(f"{opening}{draft}{closing}\n\n{_FINAL}", REQUEST)
    assert (parsed.value, parsed.problems) == (GOOD, [])


@pytest.mark.parametrize(("opening", "closing"), _MARKERS)
def test_a_draft_alone_is_asked_about_again(opening, closing):
    draft = _FINAL
    assert parse(f"{opening}{draft}{closing}", REQUEST).value is None
    assert "reasoning only" in parse(f"{opening}{draft}{closing}", REQUEST).problems[0]


def test_the_last_of_several_reasonings_ends_it():
    text = f"<think>{_DRAFT}</think>{_FINAL.replace('1', '2')}<think>again</think>{_FINAL}"
    assert parse(text, REQUEST).value == GOOD


NOTED = question(0, schema=strict(note={"type": "string"}))


@pytest.mark.parametrize(("opening", "closing"), _MARKERS)
def test_markers_inside_a_string_are_what_it_says(opening, closing):
    said = {"note": f"it uses {opening} and {closing} tags"}
    text = f"```json\n{json.dumps(said, ensure_ascii=False)}\n```"
    assert parse(text, NOTED).value == said
    assert parse(f'{{"note": "draft"}}</think>{text}', NOTED).value == said


def test_of_several_objects_the_last_that_obeys_the_schema_counts():
    text = f'First {_FINAL.replace("1", "3")}, on reflection {_FINAL}. (Not {{"doc-a": 9}}.)'
    assert parse(text, REQUEST).value == GOOD
    assert parse(f"[{_FINAL}]", REQUEST).value == GOOD
    assert parse(json.dumps(_FINAL), REQUEST).value == GOOD


def test_an_answer_elsewhere_is_named_only_when_the_content_is_empty():
    assert "reasoning_content" in parse("", REQUEST, "reasoning_content").problems[0]
    assert parse(_FINAL, REQUEST, "reasoning_content").value == GOOD
    assert "no complete" in parse("", REQUEST).problems[0]
