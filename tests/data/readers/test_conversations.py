"""Conversations are read by one rule, for scoring as for fine-tuning; fields by their path."""

import json

import pytest

from divsyn_jax.base.errors import UserError
from divsyn_jax.data.chat import ConversationReader
from divsyn_jax.data.readers.corpus import CorpusReader, ReadOptions

U, A = {"role": "user", "content": "ask"}, {"role": "assistant", "content": "reply"}
CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": '{"x": "é"}'}}
CALLED = '{"name": "f", "arguments": {"x": "é"}}'
TOOLS = [U, {"role": "assistant", "content": None, "tool_calls": [CALL]},
         {"role": "tool", "content": "out"}, {"role": "tool", "content": "more"}, A]  # fmt: skip
PARTS = [
    {"role": "user", "content": [{"type": "text", "text": "ask"}, {"type": "image_url"}]},
    {"role": "assistant", "content": [{"type": "text", "text": "reply"}]},
]
FORMS = {
    "messages": {"messages": [U, A]},
    "sharegpt": {
        "conversations": [{"from": "human", "value": "ask"}, {"from": "gpt", "value": "reply"}]
    },
    "completion": {"prompt": "ask", "completion": "reply"},
    "response": {"prompt": "ask", "response": "reply"},
    "trl": {"prompt": [U], "completion": [A]},
    "alpaca": {"instruction": "ask", "input": None, "output": "reply"},
    "dolly": {"instruction": "ask", "context": "", "response": "reply"},
    "parts": {"messages": PARTS},
    "columns": {"messages": {"role": ["user", "assistant"], "content": ["ask", "reply"]}},
}  # fmt: skip


def write(path, *records):
    path.write_text("\n".join(json.dumps(record) for record in records))
    return str(path)


def texts(path, **options):
    return [document.text for document in CorpusReader(path, ReadOptions(**options))]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_one_text_to_scoring_and_to_training(tmp_path, form):
    path = write(tmp_path / "a.jsonl", FORMS[form])
    assert texts(path) == ["ask\n\nreply"]
    assert texts(path, part="prompt") == ["ask"]
    assert texts(path, part="response") == ["reply"]
    (document,) = ConversationReader(path)
    assert document.text == "ask\n\nreply"
    assert document.fields["messages"] == [U, A]


def test_calls_of_tools(tmp_path):
    path = write(tmp_path / "a.jsonl", {"messages": TOOLS})
    assert texts(path) == [f"ask\n\n{CALLED}\n\nout\n\nmore\n\nreply"]
    assert texts(path, part="response") == [f"{CALLED}\n\nreply"]
    (document,) = ConversationReader(path)
    assert document.text == texts(path)[0]
    roles = [message["role"] for message in document.fields["messages"]]
    assert roles == ["user", "assistant", "user", "assistant"]


def test_a_system_text_beside_the_conversation_opens_it(tmp_path):
    path = write(tmp_path / "a.jsonl", {"system": "be brief", **FORMS["sharegpt"]})
    assert texts(path) == ["be brief\n\nask\n\nreply"]


def test_parts_without_text_are_named(tmp_path):
    reader = CorpusReader(write(tmp_path / "a.jsonl", FORMS["parts"], FORMS["parts"]))
    assert len(list(reader)) == 2
    assert reader.left_out() == ["2 of a part of type image_url"]


def test_a_field_of_messages_is_named(tmp_path):
    path = write(tmp_path / "a.jsonl", {"chosen": [U, A], "rejected": [U]})
    assert texts(path, text_field="chosen") == ["ask\n\nreply"]
    with pytest.raises(UserError, match="no field 'text' .*; name it with --text_field"):
        texts(path)


def test_fields_by_their_path(tmp_path):
    path = write(tmp_path / "a.jsonl", {"meta": {"text": "in"}, "a.b": "dots", "l": [{"t": "i"}]})
    assert texts(path, text_field="meta.text") == ["in"]
    assert texts(path, text_field="a.b") == ["dots"]
    assert texts(path, text_field="l.0.t") == ["i"]
    with pytest.raises(UserError, match=r"no field 'meta\.body'"):
        texts(path, text_field="meta.body")


def test_templates(tmp_path):
    path = write(tmp_path / "a.jsonl", {"a": "x", "m": {"n": 3}, "talk": [U, A], "none": None})
    assert texts(path, text_template="{a}\\n{m.n} {{b}}{none}") == ["x\n3 {b}"]
    assert texts(path, text_template="{a}\n{talk}") == ["x\nask\n\nreply"]
    with pytest.raises(UserError, match="no field 'c'.*correct --text_template"):
        texts(path, text_template="{c}")
    with pytest.raises(UserError, match="no documents"):
        texts(path, text_template="only: {none}")
    for template in ("none", "{a", "{}"):
        with pytest.raises(UserError, match="--text_template="):
            texts(path, text_template=template)
    for options in ({"part": "response"}, {"text_field": "b"}):
        with pytest.raises(UserError, match="leave one"):
            ReadOptions(text_template="{a}", **options)


def test_nobody_is_sent_to_text_field_where_it_cannot_help(tmp_path):
    path = write(tmp_path / "a.jsonl", {"ids": [1, 2], "n": 3})
    with pytest.raises(UserError, match="no field 'text' .*none of its fields holds text"):
        texts(path)
    path = write(tmp_path / "b.jsonl", {"text": "plain"})
    with pytest.raises(UserError, match="--part=response needs a conversation"):
        texts(path, part="response")


def test_half_a_surrogate_pair_in_a_conversation_is_malformed(tmp_path):
    bad = {"messages": [U, {"role": "assistant", "content": "\ud83d"}]}
    with pytest.raises(UserError, match=r"a.jsonl:2: .*half a surrogate pair"):
        texts(write(tmp_path / "a.jsonl", FORMS["messages"], bad))


OTHER_FORMS = {
    "roles with blanks": {"messages": [{**U, "role": "User "}, {**A, "role": " ASSISTANT"}]},
    "ai": {"conversations": [{"from": "human", "value": "ask"}, {"from": "AI", "value": "reply"}]},
    "text": {"conversation": [{"role": "user", "text": "ask"}, {"role": "bot", "text": "reply"}]},
    "JSON in a text": {"messages": json.dumps([U, A])},
    "content": {"messages": [{**U, "content": [{"type": "text", "content": "ask"}]}, A]},
    "value": {"messages": [{**U, "content": [{"type": "text", "text": {"value": "ask"}}]}, A]},
    "parts": {"messages": [{**U, "content": {"content_type": "text", "parts": ["ask"]}}, A]},
    "parts in parts": {"messages": [{**U, "content": [[{"type": "text", "text": "ask"}]]}, A]},
}  # fmt: skip


@pytest.mark.parametrize("form", OTHER_FORMS)
def test_other_spellings_are_the_same_conversation(tmp_path, form):
    path = write(tmp_path / "a.jsonl", OTHER_FORMS[form])
    assert texts(path, part="prompt") == ["ask"]
    assert texts(path, part="response") == ["reply"]
    (document,) = ConversationReader(path)
    assert document.fields["messages"] == [U, A]


def test_a_role_of_neither_side_is_named_where_a_side_is_asked_for(tmp_path):
    """It was taken for the prompt's side."""
    path = write(tmp_path / "a.jsonl", {"messages": [U, {"role": "gpt-4", "content": "reply"}]})
    assert texts(path) == ["ask\n\nreply"]
    for part in ("prompt", "response"):
        with pytest.raises(UserError, match="message 2 has the role 'gpt-4', of which no side"):
            texts(path, part=part)


@pytest.mark.parametrize(
    "said",
    [
        {"tool_calls": [{"name": "f", "input": {"x": "é"}}]},
        {"tool_calls": [{"function": {"name": "f", "parameters": {"x": "é"}}}]},
        {"tool_calls": {"function": {"name": "f", "arguments": '{"x": "é"}'}}},
        {"tool_calls": json.dumps([CALL])},
        {"function_call": {"name": "f", "arguments": '{"x": "é"}'}},
        {"content": [{"type": "tool_use", "id": "1", "name": "f", "input": {"x": "é"}}]},
    ],
)
def test_calls_of_tools_in_other_spellings(tmp_path, said):
    """They were dropped, or their arguments were null."""
    message = {"role": "assistant", "content": None, **said}
    assert texts(write(tmp_path / "a.jsonl", {"messages": [U, message]})) == [f"ask\n\n{CALLED}"]


def test_what_stands_beside_the_content_is_counted(tmp_path):
    thought = {**A, "reasoning_content": "hm", "refusal": None}
    image = {"type": "image", "value": "aGVsbG8="}
    reader = CorpusReader(
        write(tmp_path / "a.jsonl", {"messages": [{**U, "content": ["ask", image]}, thought]})
    )
    assert [document.text for document in reader] == ["ask\n\nreply"]
    assert reader.left_out() == [
        "1 of a part of type image",
        "1 of a part of type reasoning_content",
    ]


def test_no_conversation_is_an_empty_one(tmp_path):
    path = write(tmp_path / "a.jsonl", {"messages": None}, {"messages": [U, A]}, {"messages": []})
    reader = CorpusReader(path)
    assert [document.text for document in reader] == ["ask\n\nreply"]
    assert (reader.empty, reader.malformed) == (2, 0)


def test_earlier_turns_go_before_a_prompt(tmp_path):
    record = {"system": "be kind", "instruction": "ask", "input": "", "output": "reply"}
    path = write(tmp_path / "a.jsonl", {**record, "history": [["first", "second"]]})
    assert texts(path) == ["be kind\n\nfirst\n\nsecond\n\nask\n\nreply"]
    assert texts(path, part="response") == ["second\n\nreply"]
    path = write(tmp_path / "b.jsonl", {**record, "history": None})
    assert texts(path) == ["be kind\n\nask\n\nreply"]
    path = write(tmp_path / "c.jsonl", {**record, "history": ["first", "second"]})
    with pytest.raises(UserError, match="'history' must be a list of pairs"):
        texts(path)


def test_parts_in_parts_without_end(tmp_path):
    content = "ask"
    for _ in range(100):
        content = [content]
    with pytest.raises(UserError, match="nested too deeply"):
        texts(write(tmp_path / "a.jsonl", {"messages": [{**U, "content": content}, A]}))
