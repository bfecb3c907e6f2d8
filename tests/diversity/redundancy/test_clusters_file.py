"""clusters.jsonl as the command writes it, and as the page reads it."""

import json
import shutil

import pytest

from divsyn_jax.base.errors import UserError
from divsyn_jax.diversity.redundancy.clusters_file import read_redundancy

from ..corpora import score_corpus, write_records

COPY = "The bakery on the corner sells fresh bread every morning before the school opens."
NEAR = "The bakery on the corner sells fresh bread each morning before the school opens."
TOPICS = (
    "Volcanoes throw out lava and ash when pressure under the crust grows, case {n}.",
    "A good pasta sauce needs ripe tomatoes, garlic and slow cooking, recipe {n}.",
)


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    folder = tmp_path_factory.mktemp("redundancy")
    texts = [topic.format(n=n) for topic in TOPICS for n in range(12)]
    texts = [*texts[:5], COPY, *texts[5:], NEAR, COPY]
    corpus = write_records(folder / "c.jsonl", [{"text": text} for text in texts])
    done = score_corpus(corpus, f"--output={folder / 'out'}", "--baselines=none", "--draws=100")
    assert done.returncode == 0, done.stderr
    return folder, done


def test_a_score_says_where_the_corpus_repeats_itself(scored):
    folder, done = scored
    lines = [json.loads(line) for line in (folder / "out/c/clusters.jsonl").open()]
    summary = lines[0]
    assert summary["type"] == "summary"
    assert summary["sampled"] == summary["clustered"] == 27
    assert summary["distinct_texts"] == 26
    near = {line["document"]: line for line in lines if line["type"] == "near_duplicate"}
    assert near[26]["repeats"] == 5
    assert near[26]["equal"]
    assert near[26]["where"].endswith("c.jsonl:27")
    assert near[26]["repeats_where"].endswith("c.jsonl:6")
    assert near[25]["repeats"] == 5
    assert not near[25]["equal"]
    assert 0.5 < near[25]["shared_phrases"] < 1
    score = json.loads((folder / "out/c/score.json").read_text())
    assert len(near) / 27 == pytest.approx(score["duplicates"]["near"])
    kinds = [line for line in lines if line["type"] == "kind"]
    assert [kind["size"] for kind in kinds] == [12, 12, 3]
    assert kinds[2]["members"] == [5, 25, 26]
    assert "bread" in kinds[2]["key_words"]
    opening = next(line for line in lines if line["type"] == "opening" and line["words"] == 5)
    assert opening["text"] == "volcanoes throw out lava and"
    assert opening["texts"] == 12
    assert len([json.loads(line) for line in (folder / "out/c/map.jsonl").open()]) == 27
    assert "3 kinds of document" in done.stdout.replace("\n", " ")


def test_the_report_shows_kinds_pairs_map_and_curve(scored):
    folder, _ = scored
    page = (folder / "out/report.html").read_text()
    assert "Where the corpora repeat themselves" in page
    assert page.count("<circle") >= 27
    assert "document 5, kind 3: \u2068The bakery on the corner" in page
    assert "Enough documents, or would more help?" in page


def test_a_score_made_before_gets_its_clusters(scored, tmp_path):
    folder, _ = scored
    output = tmp_path / "out"
    shutil.copytree(folder / "out", output)
    (output / "c/clusters.jsonl").unlink()
    done = score_corpus(folder / "c.jsonl", f"--output={output}", "--baselines=none", "--draws=100")
    assert "reused" in done.stdout
    whole = (folder / "out/c/clusters.jsonl").read_text()
    assert (output / "c/clusters.jsonl").read_text() == whole


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"type": "kind", "rank": "one"}', r"clusters.jsonl:1: damaged"),
        ('{"type": "other"}', r"clusters.jsonl:1: no line of type"),
        ("[]", r"clusters.jsonl:1: no line of type"),
        ("", r"no summary"),
        ('{"type": ', r"clusters.jsonl:1: not valid JSON"),
    ],
)
def test_a_damaged_file_is_named_with_its_line(tmp_path, line, message):
    (tmp_path / "clusters.jsonl").write_text(line and line + "\n")
    with pytest.raises(UserError, match=message):
        read_redundancy(tmp_path)


def test_without_the_file_there_is_nothing(tmp_path):
    assert read_redundancy(tmp_path) is None
