"""The command, run as a user runs it."""

import json

import pytest

from divsyn_jax.diversity.calibration import report as calibration_report
from tests.conftest import ROOT, fails_with_one_line
from tests.diversity.corpora import write_labelled, write_records

MODULE = "divsyn_jax.diversity.calibration.calibrate_agent"
HANDWRITTEN = ROOT / "tools" / "benchmarks" / "handwritten_criteria.json"
ORACLE = ("--agent=oracle", "--draws=200", "--label_field=topic")


def _ladder_file(folder):
    files = [write_labelled(folder / f"k{k}.jsonl.gz", [60 // k] * k).name for k in (2, 5, 15)]
    path = folder / "ladders.json"
    rungs = {"unit": "topic", "files_in_increasing_diversity": files}
    path.write_text(json.dumps([{"ladder": "<b>one</b>", **rungs}, {"ladder": "two", **rungs}]))
    return path


def test_ladders_of_a_file(command, tmp_path):
    output = tmp_path / "out"
    done = command(MODULE, _ladder_file(tmp_path), f"--output={output}", *ORACLE)
    assert done.returncode == 0, done.stderr
    result = json.loads((output / "calibration.json").read_text())
    assert [ladder["name"] for ladder in result["ladders"]] == ["<b>one</b>", "two"]
    for ladder in result["ladders"]:
        assert {"spearman", "ari", "slope", "order_sensitivity", "test_retest"} <= ladder.keys()
        assert [rung["known"]["effective_clusters"] for rung in ladder["rungs"]] == [2, 5, 15]
        assert ladder["spearman"]["estimate"] == 1
    page = (output / "report.html").read_text()
    assert "It may be trusted to: put corpora in order; count clusters" in page
    assert "&lt;b&gt;one" in page
    assert not any(tag in page for tag in ("<b>one", "<script", "<img", "<link", "http-equiv"))
    assert page.count("<circle") == 2 * 3 + 2  # a point for each rung, one for each name


def test_a_judge_that_fails_the_probe_is_calibrated_and_called_so(command, serve, tmp_path):
    server = serve(brain="tests.diversity.agents.judge_brains:weak")
    corpora = [write_labelled(tmp_path / f"k{k}.jsonl", [60 // k] * k) for k in (1, 2, 5)]
    asked = ("--agent=openai", f"--base_url={server.base_url}", "--model=weak", "--sample_size=5")
    asked += ("--draws=12", "--noverification", f"--criteria={HANDWRITTEN}")
    done = command(MODULE, *corpora, *asked, "--label_field=topic", f"--output={tmp_path / 'out'}")
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "report.html").read_text()
    assert "the start-up probe failed: it did not find the code word of the first document" in page
    assert "It may not be trusted to: put corpora in order; count clusters" in page
    scored = command("divsyn_jax.diversity.score_corpus", corpora[0], *asked,
                     f"--output={tmp_path / 'score'}")  # fmt: skip
    assert scored.returncode == 2
    assert "did not find the code word" in scored.stderr


def test_corpora_in_order_and_the_same_answer_twice(command, tmp_path):
    corpora = [write_labelled(tmp_path / f"k{k}.jsonl", [60 // k] * k) for k in (2, 5, 15)]
    for run in "ab":
        done = command(MODULE, *corpora, f"--output={tmp_path / run}", *ORACLE)
        assert done.returncode == 0, done.stderr
    first, second = ((tmp_path / run / "calibration.json").read_bytes() for run in "ab")
    assert first == second


def test_the_page_of_a_ladder_without_labels_says_so():
    ladder = {
        "name": "l",
        "unit": None,
        "label_field": None,
        "rungs": [
            {
                "name": "c",
                "documents": 9,
                "known": None,
                "effective_clusters": {"value": 5.0, "ci_low": 4.0, "ci_high": 6.0},
                "cluster_score": {"value": 5.0, "ci_low": 4.0, "ci_high": 6.0},
                "position_bias": {"z": None},
            }
        ],
        "spearman": {"estimate": None, "reason": "1 corpora"},
        "spearman_cluster_score": {"estimate": None, "reason": "1 corpora"},
        "ari": {"value": None, "reason": "no labels"},
        "slope": {"value": None, "reason": "no labels"},
        **{
            key: {
                "draws": 5,
                "times": 2,
                "correlation": None,
                "reason": "never varies",
                "adjusted_rand": {"value": 1.0, "ci_low": 0.9, "ci_high": 1.0},
                "change_of_answer": 0.0,
            }
            for key in ("test_retest", "order_sensitivity")
        },
        "verdicts": [{"claim": "count clusters", "trusted": None, "because": "no labels known"}],
    }
    page = calibration_report.render_calibration(
        {
            "agent": {"kind": "k", "model": None, "settings": {}},
            "settings": {"draws": 5, "sample_size": 2, "seed": 0},
            "ladders": [ladder],
        }
    )
    assert "Not tested: count clusters." in page
    assert "<svg" not in page
    assert "never varies" in page


BAD = {
    "no corpora": (lambda d: [], ORACLE, "name corpora"),
    "no file": (lambda d: [d / "none.json"], ORACLE, "none.json: no such file"),
    "not ladders": (lambda d: [_json(d, {"a": 1})], ORACLE, "not ladders"),
    "a rung that is no name": (
        lambda d: [_json(d, [{"ladder": "a", "files_in_increasing_diversity": [3]}])],
        ORACLE,
        "entry 1 is not a ladder",
    ),
    "a missing rung": (
        lambda d: [_json(d, [{"ladder": "a", "files_in_increasing_diversity": ["gone.jsonl"]}])],
        ORACLE,
        "gone.jsonl: no such file",
    ),
    "an unknown ladder": (
        lambda d: [_ladder_file(d)],
        (*ORACLE, "--label_field=three=topic"),
        "no ladder 'three'",
    ),
    "an unknown field": (
        lambda d: [_ladder_file(d)],
        (*ORACLE, "--label_field=colour"),
        "no label in field 'colour'",
    ),
    "an oracle without labels": (
        lambda d: [_ladder_file(d)],
        (*ORACLE, "--label_field=two=topic"),
        "needs labels of '<b>one</b>'",
    ),
    "too few documents": (
        lambda d: [write_labelled(d / "c.jsonl", [9])],
        ORACLE,
        "fewer than --sample_size=10",
    ),
    "an endpoint without its agent": (
        lambda d: [_ladder_file(d)],
        (*ORACLE, "--model=m"),
        "--model is for --agent=openai, not --agent=oracle",
    ),
    "too few draws": (lambda d: [_ladder_file(d)], (*ORACLE, "--draws=5"), "--draws=5"),
    "one name twice": (
        lambda d: [
            write_records(d / "c.jsonl", [{"text": "a"}]),
            write_records(d / "c.jsonl.gz", [{"text": "a"}]),
        ],
        ORACLE,
        "a second corpus named 'c'",
    ),
}


def _json(folder, value):
    path = folder / "l.json"
    path.write_text(json.dumps(value))
    return path


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(command, tmp_path, case):
    make, flags, message = BAD[case]
    output = tmp_path / "out"
    fails_with_one_line(command(MODULE, *make(tmp_path), f"--output={output}", *flags), message)
    assert not output.exists()
