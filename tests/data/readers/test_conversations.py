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
