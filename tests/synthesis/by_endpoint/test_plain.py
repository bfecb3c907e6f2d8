"""Documents in prose: what is asked, what is kept, and when it is chosen."""

import collections
import re

import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.readers.corpus import CorpusReader
from divsyn_jax.synthesis.by_endpoint import choose_form
from divsyn_jax.synthesis.by_endpoint.forms import RejectedAnswer
from divsyn_jax.synthesis.by_endpoint.gates import Gates
from divsyn_jax.synthesis.by_endpoint.plain import PlainForm, whole_sentences
from divsyn_jax.synthesis.by_endpoint.writer import generate_documents
from divsyn_jax.synthesis.seeds import TopicSeed
from tests.synthesis.by_endpoint.test_generate_by_endpoint import (
    BRAINS,
    data,
    documents_asked,
    grid,
    manifest_of,
    records,
    run,
)

GATES = Gates(min_words=100, max_words=600)


def generate(server, folder, asked, form="plain", **changes):
    return generate_documents(asked, [server.settings(**changes)], GATES, 8, folder, form=form)


@pytest.mark.long
def test_prose_is_gated_replaced_and_counted_and_faults_change_no_byte(serve, tmp_path):
    calm = generate(serve(brain=BRAINS), tmp_path / "calm", grid())
    # Content faults apart: a text that is cut at the limit is a text all the same.
    kinds = "429_retry_after,429,500,502_html,dropped,slow,garbled,empty"
    faulty_server = serve(brain=BRAINS, faults=0.3, slow_s=0.1, kinds=kinds)
    faulty = generate(faulty_server, tmp_path / "faulty", grid())
    assert data(tmp_path / "faulty") == data(tmp_path / "calm")
    assert faulty["rejects"] == calm["rejects"]
    # The server answers one prompt alike, and a topic has so many pairs of keywords.
    rejects = set(calm["rejects"]) - {"duplicate"}
    assert rejects == {"refusal", "too_short", "repetition", "language"}
    assert faulty["usage"]["test"]["retries"] > 0
    written = records(tmp_path / "calm")
    assert set(collections.Counter(record["cell"] for record in written).values()) == {4}
    assert {record["form"] for record in written} == {"plain"} == set(calm["counts"]["form"])
    assert {record["persona"] for record in written} == {"a nurse", "a cook"}
    assert calm["documents"] == len(written) == 24
    assert {call["mode"] for call in faulty_server.calls() if "mode" in call} == {"text"}


def test_what_the_length_limit_cuts_ends_at_a_sentence(serve, tmp_path):
    cut = generate(serve(brain=BRAINS, always="finish:length"), tmp_path / "a", grid())
    assert cut["documents"] == 24
    assert all(record["text"].endswith(".") for record in records(tmp_path / "a"))
    # A text without any end of a sentence in its second half cannot be mended.
    form = PlainForm(grid(), GATES)
    (cell, *_) = grid().cells()
    prompt = form.prompt(cell, 0)
    endless = {"text": "One end. " + "and so on " * 50, "was_cut": True}
    assert form.record(prompt, cell, 0, endless) == RejectedAnswer("cut_at_length_limit")
    assert form.record(prompt, cell, 0, {**endless, "was_cut": False})["text"] == endless["text"]


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("**Title:** Tides\n\nThe sea rises.", "The sea rises."),
        ("Title deeds: what they are. They are old.", None),
        ("The sea rises. I'm here to help you write.", "assistant_talk"),
        ("Sure, the sea rises.", "assistant_talk"),
        ("The guide said that she was here to help.", None),
    ],
)
def test_a_title_is_dropped_and_an_assistants_talk_is_no_text(said, kept):
    form = PlainForm(grid(), GATES)
    (cell, *_) = grid().cells()
    made = form.record(form.prompt(cell, 0), cell, 0, {"text": said, "was_cut": False})
    if kept == "assistant_talk":
        assert made == RejectedAnswer("assistant_talk")
    else:
        assert made["text"] == (kept or said)


@pytest.mark.parametrize(
    ("text", "whole"),
    [
        ('He went. "She stayed." They', 'He went. "She stayed."'),
        ("It took 3.5 hours. Then i", "It took 3.5 hours."),
        ("水は川を流れる。そして", "水は川を流れる。"),
        ("no end at all", ""),
        ("Is it? Yes", "Is it?"),
    ],
)
def test_where_a_sentence_ends(text, whole):
    assert whole_sentences(text) == whole


def test_the_prompt_names_title_style_persona_and_readers_and_asks_for_no_json(tmp_path):
    topics = [TopicSeed("tides", keywords=("moon", "sun", "neap")), TopicSeed("bread\n\nObey")]
    form = PlainForm(grid(topics=topics), GATES)
    for cell in grid(topics=topics).cells():
        request = form.prompt(cell, 0).request
        assert re.search(r'titled "(tides: \w+ and \w+|bread Obey)"', request.user)
        assert re.search("written by a (nurse|cook) for people like the writer", request.user)
        assert re.match(f"Write about 200 words of a {cell.style} titled", request.user)
        assert "JSON" not in request.user + request.system
        assert 200 < request.max_output_tokens <= 400


def test_auto_takes_prose_where_a_model_cannot_write_the_schema(serve, tmp_path, capfd):
    server = serve(brain=f"{BRAINS}:unable")
    first = generate(server, tmp_path / "a", grid(), "auto")
    said = capfd.readouterr().err
    assert "cannot write --form=schema (2 of 2 trials failed: invalid: Give 3 to 5 pass" in said
    assert "--form=plain is taken" in said
    assert first["form"] == "plain"
    calls = len(server.calls())
    assert generate(server, tmp_path / "a", grid(), "auto") == first
    assert len(server.calls()) == calls
    # The cache of answers remembers what was found out.
    (tmp_path / "a" / "manifest.json").unlink()
    assert generate(server, tmp_path / "a", grid(), "auto")["form"] == "plain"
    assert len(server.calls()) == calls


def test_auto_takes_prose_where_a_model_is_lost_in_the_probe(serve, tmp_path, capfd):
    first = generate(serve(brain=f"{BRAINS}:lost"), tmp_path / "a", grid(), "auto")
    assert first["form"] == "plain"
    assert "did not find the code word" in capfd.readouterr().err


def test_auto_keeps_the_schema_where_it_is_written_and_pays_for_no_trial(serve, tmp_path):
    server = serve(brain=f"{BRAINS}:fair")
    made = generate(server, tmp_path / "a", grid(generations=1), "auto")
    assert "form" not in made
    assert len(documents_asked(server)) == made["documents"] == 6
    again = generate(server, tmp_path / "a", grid(generations=1), "plain")
    assert again["form"] == "plain"


def test_the_command_writes_prose(serve, tmp_path):
    done = run(
        serve(brain=BRAINS),
        tmp_path / "a",
        *("--form=plain", "--config.grammar.topics=3", "--config.grammar.styles=1"),
        "--config.endpoint.min_words=100",
        template="topic",
    )
    assert done.returncode == 0, done.stderr
    assert "3 documents" in done.stdout
    assert manifest_of(tmp_path / "a")["counts"]["form"] == {"plain": 3}
    assert len(list(CorpusReader(str(tmp_path / "a")))) == 3


def test_only_documents_have_a_plain_form():
    with pytest.raises(UserError, match="--form=plain is for --kind=documents"):
        choose_form.forms_of("items", "plain", grid(), GATES)
