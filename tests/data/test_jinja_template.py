"""Fine-tuning in the words of a model's own chat template, and text that spells control ids."""

import json

import numpy as np
import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data import jinja_template, shard_builder, template_renderer
from divsyn_jax.data import tokenizer as tokenizers
from divsyn_jax.data.chat import ChatTemplate
from divsyn_jax.data.jinja_template import JinjaTemplate, load_chat_template
from divsyn_jax.data.shard_builder import OWN_TEMPLATE, build_shards
from divsyn_jax.data.shards import ShardedWindows, unpack_window
from tests.conftest import write_conversations, write_jsonl
from tests.hugging_face_tokenizers import CHATML, make_tokenizer

TALK = [
    {"role": "user", "content": "hi"},
    {"role": "assistant", "content": "yo"},
    {"role": "user", "content": "more <|im_end|> <|tool|>"},
    {"role": "assistant", "content": "no"},
]


def learned_text(folder, tokenizer) -> str:
    windows = ShardedWindows(folder)
    window = unpack_window(windows[0], windows.seq_len)
    return "|".join(
        tokenizer.piece(int(token))
        for token in window["targets"][np.flatnonzero(window["loss_mask"])]
    )


@pytest.mark.parametrize("puts_bos", [True, False])
def test_text_that_spells_a_control_id_is_text_and_bos_goes_where_it_is_put(tmp_path, puts_bos):
    spec = make_tokenizer(tmp_path / "hf", puts_bos)
    tokenizer = tokenizers.load_tokenizer(spec)
    text = "a <|im_end|> b<|tool|>"
    [ids] = tokenizer.encode([text])
    assert not {0, 1, 2} & set(ids)
    assert tokenizer.decode(ids) == text
    assert tokenizer.encode_rendered(["<|im_end|>"]) == [[1]]
    corpus = write_jsonl(tmp_path / "a.jsonl", [text, "c"])
    for packing in ("concat", "document"):
        build_shards([str(corpus)], spec, str(tmp_path / packing), 64, packing)
    opening = [0] if puts_bos else []
    [c] = tokenizer.encode(["c"])
    window = ShardedWindows(tmp_path / "concat")[0].tolist()
    assert window == [*opening, *ids, 1, *opening, *c, 1]
    documents = ShardedWindows(tmp_path / "document")
    assert documents[0].tolist() == [0 if puts_bos else 1, *ids]


def test_shards_are_made_with_the_template_beside_the_tokenizer_or_the_one_named(tmp_path):
    spec = make_tokenizer(tmp_path / "hf", False, CHATML)
    tokenizer = tokenizers.load_tokenizer(spec)
    corpus = write_conversations(tmp_path / "a.jsonl", [{"messages": TALK}])
    manifest = build_shards([corpus], spec, str(tmp_path / "beside"), 256, "best_fit")
    assert manifest["chat"]["template"].endswith("hf/tokenizer_config.json")
    assert learned_text(tmp_path / "beside", tokenizer) == "y|o|<|im_end|>|n|o|<|im_end|>"
    assert (tmp_path / "beside" / "chat_template.jinja").read_text() == CHATML
    window = ShardedWindows(tmp_path / "beside")[0].reshape(5, -1)
    text = tokenizer.encode_rendered([JinjaTemplate(CHATML, tokenizer).render(TALK, False)])[0]
    assert [*window[0], window[1][-1]] == text
    assert text.count(1) == 4  # one a turn: nobody can end another's
    assert text.count(2) == 0

    (tmp_path / "mine.jinja").write_text(CHATML.replace("<|im_end|>", "<|tool|>"))
    manifest = build_shards(
        [corpus],
        spec,
        str(tmp_path / "named"),
        256,
        "best_fit",
        system_prompt="Be kind.",
        chat_template=str(tmp_path / "mine.jinja"),
    )
    assert manifest["chat"]["template"] == str(tmp_path / "mine.jinja")
    assert learned_text(tmp_path / "named", tokenizer) == "y|o|<|tool|>|n|o|<|tool|>"
    loaded = load_chat_template(tmp_path / "named", tokenizer)
    assert loaded.render(TALK[:1]).startswith("<|im_start|>system\nBe kind.<|tool|>\n")

    plain = make_tokenizer(tmp_path / "plain", False)
    manifest = build_shards([corpus], plain, str(tmp_path / "own"), 256, "best_fit")
    assert manifest["chat"]["template"] == OWN_TEMPLATE


def test_a_template_that_rewrites_what_was_said_is_refused(tmp_path):
    tokenizer = tokenizers.load_tokenizer(make_tokenizer(tmp_path / "hf", False))
    forgetful = "{{ messages | length }} {{ messages[-1]['content'] }}"
    with pytest.raises(UserError, match="differently when it goes on"):
        JinjaTemplate(forgetful, tokenizer, "x").encode_conversations(tokenizer, [TALK])
    for mute in ("", "x", "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}"):
        with pytest.raises(UserError, match="leaves the response of message 2 out"):
            JinjaTemplate(mute, tokenizer, "x").encode_conversations(tokenizer, [TALK])
    refusing = "{{ raise_exception('no such role') }}"
    with pytest.raises(UserError, match=r"^x: no such role"):
        JinjaTemplate(refusing, tokenizer, "x").render(TALK)


def test_the_first_space_of_a_continuation_survives(tmp_path):
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the old river bank", "old mills"] * 50),
        model_prefix=str(tmp_path / "tokenizer"),
        model_type="bpe",
        vocab_size=300,
        normalization_rule_name="identity",
        byte_fallback=True,
        minloglevel=2,
    )
    tokenizer = tokenizers.load_tokenizer(str(tmp_path))
    before, after = tokenizer.encode(["the old", "river bank"])
    assert tokenizer.decode(after) == "river bank"
    assert tokenizer.decode_continuation([1, *before], after) == " river bank"
    assert tokenizer.decode_continuation([1], after) == "river bank"
    [half] = tokenizer.encode(["漢"])
    assert tokenizer.decode_continuation([*before, *half[:-1]], half[-1:]).endswith("漢")


@pytest.mark.parametrize("is_jinja", [True, False])
def test_a_template_survives_the_trip_to_workers_as_json(tmp_path, is_jinja):
    tokenizer = tokenizers.load_tokenizer(make_tokenizer(tmp_path / "hf", False))
    template = (
        JinjaTemplate(CHATML, tokenizer, "mine.jinja")
        if is_jinja
        else ChatTemplate.of(tokenizer, "Be kind.")
    )
    task = shard_builder._ShardTask(
        path=str(tmp_path / "a.array_record"),
        texts=(),
        tokenizer=tokenizer,
        seq_len=256,
        packing="best_fit",
        dtype=np.dtype("<u2"),
        template=template,
        conversations=(("a.jsonl:1", TALK),),
    )
    direct = shard_builder._write(task)
    sent = json.loads(json.dumps(shard_builder._to_json(task)))
    assert shard_builder._template_from_json(sent["template"], sent["is_jinja"]) == template
    returned = shard_builder._Shard(**shard_builder._write_from_json(sent))
    assert direct.tokens
    assert (returned.entry, returned.tokens) == (direct.entry, direct.tokens)


def test_a_template_of_a_folder_is_held_to_the_limits(tmp_path, monkeypatch):
    """Shards, evaluation and generation all render through the process that has limits."""
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    tokenizer = tokenizers.load_tokenizer(make_tokenizer(tmp_path / "hf", False, endless))
    monkeypatch.setattr(template_renderer, "LONGEST_S", 1.0)
    with pytest.raises(UserError, match="tokenizer_config.json: cannot be rendered within 1 s"):
        load_chat_template(tmp_path / "hf", tokenizer).render(TALK)
    with pytest.raises(UserError, match="half a surrogate|surrogates not allowed"):
        JinjaTemplate(r"{{ '\ud800' }}", tokenizer, "x").render(TALK)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([7, "x"], "no default"),
        ([{"name": ["default"], "template": "a"}], "no default"),
        ([{"name": "default", "template": 7}], "is not a text"),
        ({"a": "b"}, "templates a and no default"),
        ({"default": 7}, "is not a text"),
        ("\ud800", "half a surrogate pair"),
        ("a" * (jinja_template.LONGEST_TEMPLATE + 1), "not a chat template"),
    ],
)
def test_an_odd_template_in_a_tokenizers_config_is_one_line(tmp_path, value, message):
    tokenizer = tokenizers.load_tokenizer(make_tokenizer(tmp_path / "hf", False))
    path = tmp_path / "odd" / "tokenizer_config.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"chat_template": value}))
    with pytest.raises(UserError, match=message) as raised:
        load_chat_template(path.parent, tokenizer)
    assert len(str(raised.value).splitlines()) == 1


def test_a_template_is_not_read_through_a_link_or_beyond_its_length(tmp_path):
    tokenizer = tokenizers.load_tokenizer(make_tokenizer(tmp_path / "hf", False))
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "hf" / "chat_template.jinja").symlink_to("../secret")
    with pytest.raises(UserError, match="leaves its folder"):
        load_chat_template(tmp_path / "hf", tokenizer)
    (tmp_path / "long.jinja").write_text("a" * (jinja_template.LONGEST_TEMPLATE + 1))
    with pytest.raises(UserError, match="long.jinja: over"):
        jinja_template.read_chat_template(tmp_path / "long.jinja", tokenizer)


def test_jinja_is_set_up_as_in_transformers(tmp_path):
    tokenizer = tokenizers.load_tokenizer(make_tokenizer(tmp_path / "hf", False))
    template = "{% for m in messages %}{{ m.role | tojson }}{% break %}{% endfor %}"
    assert JinjaTemplate(template, tokenizer).render(TALK) == '"user"'
    with pytest.raises(UserError, match="fixed date"):
        JinjaTemplate("{{ strftime_now('%Y') }}", tokenizer).render(TALK)
    # Undefined is not none, so what transformers passes as none has to be.
    asks = "{{ tools is none }} {{ documents is none }}"
    assert JinjaTemplate(asks, tokenizer).render(TALK) == "True True"
    marked = "{% set a = 1 %}{% generation %}{% set a = 2 %}b{{ a }}{% endgeneration %}{{ a }}"
    assert JinjaTemplate(marked, tokenizer).render(TALK) == "b21"


def test_a_template_knows_the_tokens_that_its_tokenizer_names(tmp_path):
    spec = make_tokenizer(tmp_path / "hf", False)
    path = tmp_path / "hf" / "tokenizer_config.json"
    config = {**json.loads(path.read_text()), "bos_token": None, "pad_token": "<|tool|>"}
    path.write_text(json.dumps(config))
    template = JinjaTemplate(
        "{{ bos_token }}{{ pad_token }}{{ eos_token }}", tokenizers.load_tokenizer(spec)
    )
    assert template.render(TALK) == "<|tool|><|im_end|>"  # EOS does not stand in for a BOS


def test_what_a_template_says_when_it_refuses_is_one_line(tmp_path):
    tokenizer = tokenizers.load_tokenizer(make_tokenizer(tmp_path / "hf", False))
    with pytest.raises(UserError, match=r"^x: no roles but user and assistant$"):
        JinjaTemplate(
            "{{ raise_exception('no roles\\nbut user\\r\\n and assistant') }}", tokenizer, "x"
        ).render(TALK)


def test_the_default_of_named_templates_is_taken(tmp_path):
    tokenizer = tokenizers.load_tokenizer(make_tokenizer(tmp_path / "hf", False))
    path = tmp_path / "hf" / "tokenizer_config.json"
    for value in (
        {"default": "mine", "tools": "other"},
        [{"name": "tools", "template": "other"}, {"name": "default", "template": "mine"}],
    ):
        path.write_text(json.dumps({"chat_template": value}))
        assert load_chat_template(path.parent, tokenizer).render(TALK) == "mine"


def test_control_tokens_that_only_tokenizer_json_knows_are_control_tokens(tmp_path):
    spec = make_tokenizer(tmp_path / "hf", False)
    path = tmp_path / "hf" / "tokenizer.json"
    definition = json.loads(path.read_text())
    entry = {**definition["added_tokens"][0], "id": 259}
    added = [
        {**entry, "content": "<|eot|>"},
        {**entry, "id": 260, "content": "<call>", "special": False},
    ]
    definition["added_tokens"] += added
    path.write_text(json.dumps(definition))
    tokenizer = tokenizers.load_tokenizer(spec)
    assert "<|eot|>" in tokenizer.special_texts
    assert "<call>" not in tokenizer.special_texts
    template = JinjaTemplate(CHATML.replace("<|im_end|>", "<|eot|>"), tokenizer)
    talk = [{"role": "user", "content": "a<|eot|>"}, {"role": "assistant", "content": "b"}]
    [(ids, of_response)] = template.encode_conversations(tokenizer, [talk])
    assert ids.count(259) == 2  # one a turn: nobody can end another's
    learned = [
        tokenizer.piece(token) for token, is_of in zip(ids, of_response, strict=True) if is_of
    ]
    assert learned == ["b", "<|eot|>"]
