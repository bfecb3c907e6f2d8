"""The command: what it writes, what it refuses, and that how it runs changes no byte."""

import collections
import io
import json
import random

import pytest
import zstandard

from divsyn_jax.base.errors import UserError
from divsyn_jax.curation import sketching
from divsyn_jax.curation.curation import curate_corpus
from divsyn_jax.curation.settings import CurationSettings
from divsyn_jax.data.readers.options import ReadOptions
from tests.conftest import fails_with_one_line
from tests.curation.planted import dropped_words, passage, write_records

QUIET = {"score_documents": 0, "workers": 1}


def records_of(folder):
    data = (folder / "documents.jsonl.zst").read_bytes()
    text = zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data)).read().decode()
    return [json.loads(line) for line in text.splitlines()]


@pytest.fixture
def planted(tmp_path):
    """A corpus of 120 records, its items, and why each record beyond the first 60 must go."""
    rng = random.Random(0)
    texts = [passage(rng, 80) for _ in range(60)]
    leaks = [passage(rng, 13) for _ in range(20)]
    texts += texts[:20]
    texts += [f"{passage(rng, 40)} {leak} {passage(rng, 40)}" for leak in leaks]
    texts += [dropped_words(rng, text, 0.05) for text in texts[20:40]]
    reasons = dict.fromkeys(range(60, 80), "exact_duplicate")
    reasons |= dict.fromkeys(range(80, 100), "leaked_words")
    reasons |= dict.fromkeys(range(100, 120), "near_duplicate")
    corpus = write_records(
        tmp_path / "corpus.jsonl",
        (
            {"id": number, "text": text, "meta": {"score": number / 2, "tags": ["é", None]}}
            for number, text in enumerate(texts)
        ),
    )
    items = write_records(tmp_path / "items.jsonl", ({"q": leak, "answer": "B"} for leak in leaks))
    return corpus, items, reasons


def test_what_is_dropped_is_named_with_reason_and_place(tmp_path, planted):
    corpus, items, reasons = planted
    settings = CurationSettings(decontaminate=(items,), quality_field="meta.score", **QUIET)
    curate_corpus(corpus, settings, tmp_path / "out")
    record = json.loads((tmp_path / "out/curation.json").read_text())
    assert {each["document"]: each["reason"] for each in record["dropped"]} == reasons
    for each in record["dropped"]:
        number = each["document"]
        assert each["where"] == f"{corpus}:{number + 1}"
        copied = {"exact_duplicate": number - 60, "near_duplicate": number - 80}
        of = copied.get(each["reason"], number - 80)
        assert each["of"] == of
        source = items if each["reason"] == "leaked_words" else corpus
        assert each["of_where"] == f"{source}:{of + 1}"
    counts = {"exact_duplicate": 20, "leaked_words": 20, "near_duplicate": 20}
    found = {reason: count for reason, count in record["dropped_by_reason"].items() if count}
    assert found == counts
    kept = records_of(tmp_path / "out")
    given = [json.loads(line) for line in open(corpus)]
    assert kept == given[:60]  # records as they were
    scores = record["covariates"]["meta.score"]
    assert (scores["before"]["mean"], scores["after"]["mean"]) == (119 / 4, 59 / 4)
    clusters = [json.loads(line) for line in open(tmp_path / "out/clusters.jsonl")]
    assert sum(cluster["copies"] for cluster in clusters) == 40
    card = (tmp_path / "out/README.md").read_text()
    for piece in ("exact duplicate | 20 ", record["after"]["fingerprint"], "`exact, minhash`"):
        assert piece in card
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "README.md",
        "clusters.jsonl",
        "curation.json",
        "documents.jsonl.zst",
    ]


def test_the_folder_is_a_corpus_again(tmp_path, planted, capsys):
    corpus, _, _ = planted
    summary = curate_corpus(corpus, CurationSettings(**QUIET), tmp_path / "out")
    again = curate_corpus(str(tmp_path / "out"), CurationSettings(**QUIET), tmp_path / "again")
    assert again["before"]["fingerprint"] == summary["after"]["fingerprint"]
    assert not any(again["dropped_by_reason"].values())


def test_workers_and_blocks_change_no_byte(tmp_path, planted, monkeypatch):
    corpus, items, _ = planted
    monkeypatch.setattr(sketching, "_BLOCK_CHARACTERS", 10_000)

    def contents(name, **how):
        settings = CurationSettings(decontaminate=(items,), **{**QUIET, **how})
        curate_corpus(corpus, settings, tmp_path / name)
        return {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}

    plain = contents("one")
    assert contents("two", workers=2) == plain
    monkeypatch.setattr(sketching, "_BLOCK_CHARACTERS", 1 << 22)
    assert contents("whole") == plain


def test_parquet_holds_the_same_records(tmp_path, planted):
    parquet = pytest.importorskip("pyarrow.parquet")
    corpus, _, _ = planted
    curate_corpus(corpus, CurationSettings(format="parquet", **QUIET), tmp_path / "table")
    curate_corpus(corpus, CurationSettings(**QUIET), tmp_path / "lines")
    rows = parquet.read_table(tmp_path / "table/documents.parquet").to_pylist()
    assert rows == records_of(tmp_path / "lines")
    mixed = [{"text": "a b", "x": 1}, {"text": "c d", "x": "one"}]
    path = write_records(tmp_path / "mixed.jsonl", mixed)
    with pytest.raises(UserError, match=r"mixed.jsonl:1 .*--format=jsonl.zst"):
        curate_corpus(path, CurationSettings(format="parquet", **QUIET), tmp_path / "mixed")
    assert not (tmp_path / "mixed").exists()


def test_fields_that_are_kept_and_text_of_other_forms(tmp_path):
    records = [{"body": f"text {n}", "a": {"b": n}, "c": float("nan")} for n in range(3)]
    path = write_records(tmp_path / "c.jsonl", records)
    read = ReadOptions(text_field="body")
    settings = CurationSettings(keep_fields=("a.b",), read=read, dedup=(), **QUIET)
    curate_corpus(path, settings, tmp_path / "o")
    assert records_of(tmp_path / "o") == [{"body": f"text {n}", "a.b": n} for n in range(3)]
    summary = curate_corpus(path, CurationSettings(read=read, **QUIET), tmp_path / "p")
    assert summary["after"]["numbers_written_as_null"] == 3
    assert records_of(tmp_path / "p")[0] == {"body": "text 0", "a": {"b": 0}, "c": None}
    (tmp_path / "d.txt").write_text("one\n\ntwo\n\none\n")
    read = ReadOptions(text_unit="paragraph")
    curate_corpus(str(tmp_path / "d.txt"), CurationSettings(read=read, **QUIET), tmp_path / "q")
    assert [record["text"] for record in records_of(tmp_path / "q")] == ["one", "two"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"quality_field": "id", "keep_fields": ("nothing",)}, "no record has field 'nothing'"),
        ({"quality_field": "text"}, r"corpus.jsonl:1: field 'text' holds .*--quality_field"),
        ({"quality_field": "none"}, "no record has a number in field 'none'"),
        ({"decontaminate": ("missing.jsonl",)}, "missing.jsonl: no such file"),
    ],
)
def test_bad_input_leaves_no_folder(tmp_path, planted, settings, message):
    with pytest.raises(UserError, match=message):
        curate_corpus(planted[0], CurationSettings(**settings, **QUIET), tmp_path / "o")
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"keep": 0.5}, "--keep and --by go together"),
        ({"keep": 1.5, "by": "kinds"}, "--keep=1.5"),
        ({"dedup": ("fuzzy",)}, "--dedup=fuzzy: choose among exact, minhash, semantic"),
        ({"near_duplicate": 0.0}, "--near_duplicate=0.0"),
        ({"score_documents": 3}, "--score_documents=3"),
        ({"beam_options": ("--x",)}, "--beam_options are for --runner"),
    ],
)
def test_settings_that_cannot_be_used(settings, message):
    with pytest.raises(UserError, match=message):
        CurationSettings(**settings)


def test_a_folder_of_somebody_else_is_not_replaced(tmp_path, planted):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"notes.txt"):
        curate_corpus(planted[0], CurationSettings(**QUIET), tmp_path / "mine")
    assert (tmp_path / "mine/notes.txt").read_text() == "mine"


def test_a_random_subset_has_its_size(tmp_path, planted):
    settings = CurationSettings(keep=0.25, by="random", dedup=("exact",), **QUIET)
    summary = curate_corpus(planted[0], settings, tmp_path / "o")
    assert summary["after"]["documents"] == 25
    assert summary["dropped_by_reason"]["not_selected"] == 75


def test_the_command_curates_selects_and_scores(tmp_path, command):
    rng = random.Random(2)
    subjects = ["the river and its mills", "stars and old galaxies", "bread, butter and salt"]
    texts = [f"About {subjects[min(2, n // 14)]}: {passage(rng, 6)}." for n in range(30)]
    corpus = write_records(tmp_path / "corpus.jsonl", ({"text": text} for text in texts))
    done = command(
        *("divsyn_jax", "curate", corpus, f"--output={tmp_path}/half", "--keep=0.5"),
        *("--by=kinds", "--score_documents=30"),
    )
    assert done.returncode == 0, done.stderr
    scores = json.loads((tmp_path / "half/curation.json").read_text())["scores"]
    assert set(scores) == {"agent", "documents", "verdict", "before", "after", "random"}
    said = " ".join(done.stdout.split())
    assert "15 of 30 documents stay" in said
    assert scores["verdict"] in said
    kept = collections.Counter(
        next(number for number, subject in enumerate(subjects) if subject in record["text"])
        for record in records_of(tmp_path / "half")
    )
    # Fourteen, fourteen and two there were.
    assert kept[2] == 2
    assert scores["after"]["effective_clusters"]["value"] > 0
    assert scores["documents"] == 15  # of the corpus before, too


def test_bad_usage_is_one_line(tmp_path, command):
    fails_with_one_line(command("divsyn_jax", "curate"), "name one corpus")
    missing = command("divsyn_jax", "curate", f"{tmp_path}/no.jsonl", f"--output={tmp_path}/o")
    fails_with_one_line(missing, "no.jsonl: no such file")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spec", ["out", "out/documents.jsonl.zst", "link", "out/*.zst"])
def test_a_corpus_is_not_replaced_by_what_is_made_of_it(tmp_path, spec):
    out = tmp_path / "out"
    out.mkdir()
    line = json.dumps({"text": "one two three"}) + "\n"
    (out / "documents.jsonl.zst").write_bytes(zstandard.compress(line.encode() * 3))
    before = (out / "documents.jsonl.zst").read_bytes()
    (tmp_path / "link").symlink_to(out)
    with pytest.raises(
        UserError, match=r"out: holds .*documents\.jsonl\.zst of the corpus to read"
    ):
        curate_corpus(str(tmp_path / spec), CurationSettings(**QUIET), out)
    assert (out / "documents.jsonl.zst").read_bytes() == before
