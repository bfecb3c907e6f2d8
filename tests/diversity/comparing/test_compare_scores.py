"""`divsyn compare`: a line and an exit code, a card and a badge."""

import json
import re
import xml.etree.ElementTree

import pytest

from divsyn_jax.diversity.comparing.card import escaped, score_card
from tests.conftest import fails_with_one_line

from ..corpora import write_labelled, write_records

MODULE = "divsyn_jax.diversity.comparing.compare_scores"
ORACLE = ("--agent=oracle", "--label_field=topic", "--draws=300", "--baselines=none")


@pytest.fixture(scope="module")
def scores(tmp_path_factory, command):
    """Scores of a narrow and a broad corpus, by known labels: no model is loaded."""
    folder = tmp_path_factory.mktemp("compared")
    narrow = write_labelled(folder / "narrow.jsonl", [50] * 2)
    broad = write_labelled(folder / "broad.jsonl", [5] * 20)
    output = folder / "out"
    done = command(
        "divsyn_jax.diversity.score_corpus", narrow, broad, f"--output={output}", *ORACLE
    )
    assert done.returncode == 0, done.stderr
    return output


@pytest.mark.parametrize(
    ("old", "new", "flags", "code", "says"),
    [
        ("broad", "narrow", ["--fail_if=less_diverse"], 1, "narrow is less diverse than broad"),
        ("broad", "narrow", ["--fail_if=more_diverse"], 0, "--fail_if=more_diverse: does not hold"),
        ("narrow", "broad", ["--fail_if=different"], 1, "--fail_if=different: holds"),
        ("narrow", "broad", [], 0, "broad is more diverse than narrow"),
        ("broad", "broad", ["--fail_if=less_diverse"], 0, "cannot be told, which --unsure=pass"),
        (
            *("broad", "broad", ["--fail_if=less_diverse", "--unsure=fail"]),
            *(1, "cannot be told, which --unsure=fail fails"),
        ),
    ],
)
def test_the_exit_code_says_what_the_line_says(scores, command, old, new, flags, code, says):
    done = command(MODULE, scores / old, scores / new, *flags)
    assert done.returncode == code, done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert says in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{0}/broad"], "two are compared"),
        (["{0}/broad", "{0}/narrow", "{0}/narrow"], "3 corpora named, two are compared"),
        (["{0}/broad", "{0}/../broad.jsonl"], "a corpus and a score"),
        (["{0}/broad", "{0}/gone"], "/gone: no such file or folder"),
        (["{0}/broad/score.json", "{0}/../broad.jsonl"], "a corpus and a score"),
        (["{0}", "{0}/broad"], "holds the scores of several corpora; name one of them"),
        (["{0}/broad", "{0}/narrow", "--margin=0.1"], "--margin and --unsure go with --fail_if"),
        (
            ["{0}/broad", "{0}/narrow", "--fail_if=less_diverse", "--margin=0.1"],
            "--margin needs scores from all pairs",
        ),
        (["{0}/broad", "{0}/narrow", "--fail_if=less_diverse", "--margin=nan"], "--margin=nan"),
        (["{0}/broad", "--badge=b.png"], "name a file that ends in .svg or .json"),
        (["{0}/broad", "{0}/narrow", "--fail_if=worse"], "fail_if"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(scores, command, tmp_path, arguments, says):
    given = [argument.format(scores) for argument in arguments]
    fails_with_one_line(command(MODULE, *given, cwd=tmp_path), says)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("record", "key", "value"),
    [
        ("cluster_score", "draws", 0),
        ("cluster_score", "document_variance", -1),
        ("duplicates", "exact", -1),
        ("effective_clusters", "pair_share", 10**400),
    ],
)
def test_a_score_whose_numbers_are_none_of_a_score_is_named(
    scores, command, tmp_path, record, key, value
):
    score = json.loads((scores / "broad" / "score.json").read_text())
    score[record][key] = value
    (tmp_path / "edited").mkdir()
    (tmp_path / "edited" / "score.json").write_text(json.dumps(score))
    done = command(MODULE, scores / "narrow", tmp_path / "edited", "--card=card.md", cwd=tmp_path)
    fails_with_one_line(done, f"{tmp_path}/edited/score.json: damaged")
    assert "narrow/score.json" not in done.stderr
    assert not (tmp_path / "card.md").exists()


def test_scores_made_otherwise_are_not_compared(scores, command, tmp_path):
    score = json.loads((scores / "broad" / "score.json").read_text())
    score["agent"]["model"] = "another"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "score.json").write_text(json.dumps(score))
    done = command(MODULE, scores / "narrow", tmp_path / "other", "--fail_if=less_diverse")
    fails_with_one_line(done, "scored by different agents")


def test_card_and_badges_are_of_the_new_corpus(scores, command, tmp_path):
    card, badge = tmp_path / "card.md", tmp_path / "badge.json"
    arguments = (scores / "broad", scores / "narrow", f"--card={card}")
    done = command(MODULE, *arguments, f"--badge={badge}")
    assert done.returncode == 0, done.stderr
    text = card.read_text()
    assert text.startswith("# Diversity of narrow\n")
    assert "narrow is less diverse than broad" in text
    value = re.search(r"\| effective clusters \| ([\d.]+) \|", text)[1]
    assert 1.5 < float(value) < 2.5
    told = json.loads(badge.read_text())
    assert (told["schemaVersion"], told["label"]) == (1, "diversity")
    assert told["message"].endswith("less diverse")
    alone = tmp_path / "badge.svg"
    done = command(MODULE, scores / "broad", f"--badge={alone}")
    assert done.returncode == 0, done.stderr
    root = xml.etree.ElementTree.fromstring(alone.read_text())
    assert "effective clusters" in root.attrib["aria-label"]


def test_a_card_obeys_no_stranger(scores):
    score = json.loads((scores / "broad" / "score.json").read_text())
    score["corpus"]["name"] = "a<script>|b\n# c `d` [e](f) \x1b[31m"
    text = score_card(score, None, None)
    assert "<script" not in text
    assert "\x1b" not in text
    assert "\n# c" not in text
    assert "\\[e\\](f)" in text
    assert escaped("a*b_c") == "a\\*b\\_c"
    assert escaped("1. one") == "1\\. one"
    assert escaped("- one") == "\\- one"


def test_two_corpora_are_scored_and_compared(command, tmp_path):
    words = ("rain", "bread", "stars", "taxes", "horses", "glue", "jazz", "moss", "salt", "ferry")
    broad = [{"text": f"Notes about {w} and {v}."} for w in words for v in words if v != w]
    narrow = [{"text": f"Notes about rain, part {n}."} for n in range(len(broad))]
    old = write_records(tmp_path / "old.jsonl", broad)
    new = write_records(tmp_path / "new.jsonl", narrow)
    done = command(MODULE, old, new, "--fail_if=less_diverse", "--margin=0.2", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert done.stdout.startswith("new is less diverse than old: ")
    assert done.stdout.endswith("--fail_if=less_diverse by more than 0.2: holds.\n")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new.jsonl", "old.jsonl"]
