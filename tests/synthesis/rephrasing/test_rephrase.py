"""generate_corpus --kind=rephrase against a server process: exact cells, a gate, a judge."""

import collections
import dataclasses
import json
import random

import pytest

from divsyn_jax.base.errors import Failure, UserError
from divsyn_jax.data.readers.corpus import CorpusReader
from divsyn_jax.data.readers.options import ReadOptions
from divsyn_jax.synthesis.rephrasing import writer
from divsyn_jax.synthesis.rephrasing.forecast import rephrasing_dry_run
from divsyn_jax.synthesis.rephrasing.rephrasing_settings import RephrasingSettings, check_formats
from tests.conftest import fails_with_one_line, write_jsonl
from tests.synthesis import facts

BRAIN = "tests.synthesis.facts:rephraser"
# The writer has one way of saying a thing, so that its texts are near each other and the source.
LOOSE = RephrasingSettings(language="", copied=2.0, near_duplicate=2.0, entailment=1.0)


@pytest.fixture
def corpus(tmp_path):
    rng = random.Random(5)
    texts = [facts.document(facts.facts(rng)) for _ in range(6)]
    return str(write_jsonl(tmp_path / "sources.jsonl", [*texts, texts[0]]))


def plan_of(corpus, **changes):
    plan = writer.RephrasingPlan(corpus, ReadOptions(), ("faq", "tutorial"), 50, 2, 12, 3)
    return dataclasses.replace(plan, **changes)


def rephrased(server, folder, plan, settings=LOOSE):
    endpoint = server.settings(price_input=1.0, price_output=2.0)
    return writer.rephrase_corpus(plan, [endpoint], settings, folder)


def records(folder):
    return [document.fields for document in CorpusReader(str(folder), fields=None)]


def unfaithful_ones(corpus, written):
    sources = {document.where: facts.stated(document.text) for document in CorpusReader(corpus)}
    return [
        record for record in written if facts.stated(record["text"]) - sources[record["source"]]
    ]


def test_every_source_and_format_gets_what_was_asked_for_and_faults_change_no_byte(
    serve, tmp_path, corpus
):
    server = serve(brain=BRAIN)
    manifest = rephrased(server, tmp_path / "calm", plan_of(corpus))
    faulty = serve(brain=BRAIN, faults=0.3, slow_s=0.05)
    rephrased(faulty, tmp_path / "faulty", plan_of(corpus))
    data = (tmp_path / "calm" / writer.REPHRASED).read_bytes()
    assert (tmp_path / "faulty" / writer.REPHRASED).read_bytes() == data
    written = records(tmp_path / "calm")
    cells = collections.Counter((record["source"], record["format"]) for record in written)
    assert set(cells.values()) == {2}
    assert len(cells) == 6 * 2
    assert (manifest["sources"], manifest["sources_repeated"]) == (6, 1)
    assert manifest["counts"]["format"] == {"faq": 12, "tutorial": 12}
    assert unfaithful_ones(corpus, written) == []
    assert {"number", "name", "negation"} <= set(manifest["rejects"])
    assert all(record["entailed"] is True for record in written)
    calls = len(server.calls())
    assert rephrased(server, tmp_path / "calm", plan_of(corpus)) == manifest  # it is finished
    assert len(server.calls()) == calls


@pytest.mark.slow
def test_two_thousand_rephrasings_under_faults_are_exact_in_every_cell(serve, tmp_path):
    rng = random.Random(6)
    texts = [facts.document(facts.facts(rng)) for _ in range(125)]
    corpus = str(write_jsonl(tmp_path / "sources.jsonl", texts))
    formats = ("faq", "tutorial", "textbook", "summary")
    plan = plan_of(corpus, formats=formats, generations=4, sources=125)
    server = serve(brain=BRAIN, faults=0.3, slow_s=0.05)
    manifest = rephrased(server, tmp_path / "out", plan)
    written = records(tmp_path / "out")
    cells = collections.Counter((record["source"], record["format"]) for record in written)
    assert manifest["documents"] == len(written) == 2000
    assert (len(cells), set(cells.values())) == (500, {4})
    assert unfaithful_ones(corpus, written) == []


def test_the_judge_rejects_what_the_rules_would_let_pass(serve, tmp_path, corpus, monkeypatch):
    monkeypatch.setattr(writer, "unfaithful", lambda *texts: None)
    plan = plan_of(corpus, formats=("textbook",), generations=3)
    manifest = rephrased(serve(brain=BRAIN), tmp_path / "judged", plan)
    assert unfaithful_ones(corpus, records(tmp_path / "judged")) == []
    assert manifest["rejects"]["not_entailed"] > 0
    assert manifest["judged"] == 18 + manifest["rejects"]["not_entailed"]
    # Neither rules nor a judge: the unfaithful stay, so both were needed above.
    blind = dataclasses.replace(LOOSE, entailment=0.0)
    manifest = rephrased(serve(brain=BRAIN), tmp_path / "blind", plan, blind)
    assert unfaithful_ones(corpus, records(tmp_path / "blind"))
    assert manifest["judged"] == 0


def test_cells_that_cannot_be_filled_are_named_and_nothing_is_written(serve, tmp_path, corpus):
    strict = dataclasses.replace(LOOSE, shortest=2.5, longest=3.0)
    plan = plan_of(corpus, candidates=1, sources=1)
    with pytest.raises(Failure, match=r"sources.jsonl:1 as faq \(0 of 2: 2 too_short\)"):
        rephrased(serve(brain=BRAIN), tmp_path / "out", plan, strict)
    assert not (tmp_path / "out" / writer.REPHRASED).exists()


def test_a_dry_run_counts_calls_of_both_purposes(corpus):
    from divsyn_jax.endpoint.settings import EndpointSettings

    endpoint = EndpointSettings(base_url="http://127.0.0.1:9/v1", model="m")
    half = dataclasses.replace(LOOSE, entailment=0.5)
    text = rephrasing_dry_run(plan_of(corpus), [endpoint], half)
    assert "6 documents x 2 formats x 2 = 24 rephrasings" in text
    rows = {line.split()[0]: line.split()[1] for line in text.splitlines() if line[:1].isalpha()}
    assert (rows["rephrase"], rows["entailment"], rows["total"]) == ("24", "12", "37")


def test_formats_and_settings_that_cannot_be_used():
    assert check_formats(["faq", "faq", "notes"]) == ("faq", "notes")
    with pytest.raises(UserError, match="--formats=poem: choose among faq, table"):
        check_formats(["poem"])
    for setting in ({"entailment": 2.0}, {"shortest": 4.0}, {"source_characters": 3}):
        with pytest.raises(UserError, match=f"--config.rephrase.{next(iter(setting))}"):
            RephrasingSettings(**setting)


def test_the_command_tells_a_corpus_again(serve, tmp_path, corpus, command):
    server = serve(brain=BRAIN)
    line = [
        *("divsyn_jax", "generate", "--config=configs/synthesis.py", "--kind=rephrase"),
        *(f"--input={corpus}", "--formats=notes", f"--output={tmp_path}/out"),
        *(f"--base_url={server.base_url}", "--model=test"),
    ]
    fails_with_one_line(command(*line[:-2]), "--base_url")
    bad = [*line[:5], "--formats=poem", *line[6:]]
    fails_with_one_line(command(*bad), "--formats=poem: choose among")
    textbook = [*line[:5], "--formats=textbook", *line[6:]]
    loose = ("--config.endpoint.language=", "--config.rephrase.copied=2.0")  # as LOOSE
    done = command(*textbook, *loose, "--config.endpoint.candidates=12")
    assert done.returncode == 0, done.stderr
    assert "6 rephrasings of 6 documents" in done.stdout
    assert "1 documents have the text of an earlier one" in done.stdout
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["kind"] == "rephrase"
