"""Two evaluations compared by what lm-evaluation-harness wrote of every item.

The layout of a line is that of lm_eval 0.4.13 (evaluator.py, loggers/evaluation_tracker.py).
"""

import gzip
import json
import random

import pytest

from divsyn_jax.base.errors import UserError
from divsyn_jax.evaluation.compare_items import compare_samples
from divsyn_jax.statistics import paired_bootstrap
from tests.conftest import fails_with_one_line
from tests.evaluation.written_samples import coins, sample_line, write_samples


@pytest.fixture
def pair(tmp_path):
    """Two files of one task, the second right more often."""
    values = coins(0.4, 1), coins(0.7, 2)
    paths = [
        write_samples(
            tmp_path / name / "samples_arc_easy_2026-11-30T10-00-00.123456.jsonl",
            [sample_line(n, value, acc_norm=0.5) for n, value in enumerate(each)],
        )
        for name, each in zip("ab", values, strict=True)
    ]
    return paths, values


def test_the_difference_is_that_of_the_paired_bootstrap(pair):
    (first, second), values = pair
    rows = compare_samples(first, second)
    assert [(row["task"], row["metric"], row["items"]) for row in rows] == [
        ("arc_easy", "acc", 200),
        ("arc_easy", "acc_norm", 200),
    ]
    expected = paired_bootstrap(*values)
    assert {key: rows[0][key] for key in ("difference", "ci_low", "ci_high", "p")} == {
        key: expected[key] for key in ("difference", "ci_low", "ci_high", "p")
    }
    assert rows[0]["p_holm"] == min(1, 2 * rows[0]["p"])
    assert rows[1]["difference"] == 0


def test_items_are_matched_by_number_whatever_their_order(pair, tmp_path):
    (first, second), _ = pair
    lines = second.read_text().splitlines()
    random.Random(0).shuffle(lines)
    other = tmp_path / "samples_arc_easy_2026-12-01T10-00-00.jsonl.gz"
    other.write_bytes(gzip.compress("\n".join(lines).encode()))
    assert compare_samples(first, other)[0] == compare_samples(first, second)[0]


def test_a_folder_holds_the_latest_samples_of_each_task(pair, tmp_path):
    (first, second), _ = pair
    older = second.parent / "samples_arc_easy_2026-11-29T10-00-00.123456.jsonl"
    write_samples(older, [sample_line(n, 0.0) for n in range(200)])
    write_samples(second.parent / "samples_piqa_2026-11-30T10-00-00.jsonl", [sample_line(0, 1)])
    rows = compare_samples(first.parent, second.parent)
    assert {row["task"] for row in rows} == {"arc_easy"}
    assert rows == compare_samples(first, second)


def test_filters_are_compared_apart(tmp_path):
    paths = []
    for name, strict in (("a", 0.0), ("b", 1.0)):
        lines = [
            sample_line(n, value, filtered=filtered)
            for n in range(20)
            for filtered, value in (("strict-match", strict), ("flexible-extract", 1.0))
        ]
        paths.append(
            write_samples(tmp_path / name / "samples_gsm8k_2026-11-30T10-00-00.jsonl", lines)
        )
    found = {row["filter"]: row["difference"] for row in compare_samples(*paths)}
    assert found == {"strict-match": 1.0, "flexible-extract": 0.0}


def test_lines_of_older_harnesses_and_of_our_runs_are_read(tmp_path):
    old = [
        {key: value for key, value in sample_line(n, True).items()
         if key not in ("filter", "metrics", "doc_hash", "prompt_hash", "target_hash")}
        for n in range(9)
    ]  # fmt: skip
    a = write_samples(tmp_path / "a.jsonl", old)
    assert [row["metric"] for row in compare_samples(a, a)] == ["acc"]
    ours = write_samples(
        tmp_path / "eval" / "copa.jsonl",
        [{"item": n, "hash": f"h{n}", "value": n % 2} for n in range(9)],
    )
    (row,) = compare_samples(ours, ours)
    assert (row["metric"], row["items"], row["p"]) == ("value", 9, 1.0)


def test_another_prompt_is_said_and_another_item_refused(pair, tmp_path):
    (first, _), (values, _) = pair
    prompts = [sample_line(n, value, acc_norm=1, prompt="q") for n, value in enumerate(values)]
    rows = compare_samples(first, write_samples(tmp_path / "p.jsonl", prompts))
    assert "200 of 200 items had another prompt" in rows[0]["remarks"][0]
    others = [sample_line(n, value, seen="piqa") for n, value in enumerate(values)]
    with pytest.raises(UserError, match=r"o.jsonl:1: item 0 is another one"):
        compare_samples(first, write_samples(tmp_path / "o.jsonl", others))


def test_fewer_items_are_compared_only_where_asked_for(pair, tmp_path):
    (first, _), (values, _) = pair
    some = write_samples(
        tmp_path / "s.jsonl", [sample_line(n, v) for n, v in enumerate(values[:50])]
    )
    with pytest.raises(UserError, match="200 and 50 items of arc_easy, 50 in both.*--common"):
        compare_samples(first, some)
    (row,) = compare_samples(first, some, common=True)
    assert (row["items"], row["left_out"], row["difference"]) == (50, 150, 0)


@pytest.mark.parametrize(
    ("lines", "metrics", "message"),
    [
        ([sample_line(0, 1), sample_line(0, 0)], (), r"b.jsonl:2: item 0 stands there twice"),
        ([{"text": "no item"}], (), r"b.jsonl:1: no doc_id"),
        ([{"doc_id": 0, "metrics": ["ppl"], "ppl": [1, 2]}], (), "no item with a metric"),
        ([sample_line(0, 1)], ("f1",), "--metric=f1: not in .* they have acc"),
        ([sample_line(0, 1, bleu=["r", "p"])], ("bleu",), "hold no single number"),
    ],
)
def test_what_cannot_be_compared_is_one_line(tmp_path, lines, metrics, message):
    first = write_samples(tmp_path / "a.jsonl", [sample_line(0, 1)])
    with pytest.raises(UserError, match=message):
        compare_samples(first, write_samples(tmp_path / "b.jsonl", lines), metrics)


def test_the_command_prints_a_line_a_metric(command, pair, tmp_path):
    (first, second), _ = pair
    output = tmp_path / "items.json"
    done = command("divsyn_jax.evaluation.compare_items", first, second, f"--output={output}")
    assert done.returncode == 0, done.stderr
    line = done.stdout.splitlines()[0]
    assert line.startswith("arc_easy: acc: 0.")
    assert "(Holm), 200 items: told apart" in line
    assert json.loads(output.read_text())["items"][0]["metric"] == "acc"
    done = command("divsyn_jax.evaluation.compare_items", first, tmp_path / "none")
    fails_with_one_line(done, "no such file or folder")
