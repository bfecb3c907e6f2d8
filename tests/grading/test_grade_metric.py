"""The command, and somebody's metric in a process of its own."""

import json
import os
import re
import sys

import pytest

from divsyn_jax.base.errors import UserError
from divsyn_jax.grading.bench import Bench, GradedCorpus
from divsyn_jax.grading.foreign import foreign_metric
from divsyn_jax.grading.grades import read_grades, write_grades
from divsyn_jax.grading.report import grades_table, render_grades
from divsyn_jax.grading.settings import GradeSettings
from tests.conftest import ROOT, fails_with_one_line

METRICS = """
import math

print("a module may print")

def distinct_words(texts):
    print("a metric, too")
    return len({word for text in texts for word in text.lower().split()})

def distinct_share(texts):
    return 1 - len(set(texts)) / len(texts)

distinct_share.direction = "down"
distinct_share.effective_number = True
distinct_share.source = "Somebody 2026"

def broken(texts):
    return math.nan if len(texts) > 1 else 1 / 0

def odd(texts):
    return 1

odd.direction = "sideways"
"""


@pytest.fixture
def metrics_here(tmp_path, monkeypatch):
    (tmp_path / "metrics_of_mine.py").write_text(METRICS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(output, **given) -> GradeSettings:
    return GradeSettings(metric=("all",), output=output, **given)


def test_a_function_of_texts_is_a_metric(metrics_here):
    corpus = GradedCorpus("made", ["one text", "One more \N{SNOWMAN}", "one text"])
    name = "metrics_of_mine:distinct_words"
    with foreign_metric(name, settings(metrics_here, python=sys.executable)) as made:
        assert (made.name, made.direction, made.effective_number) == (name, "up", False)
        assert Bench([made], None).values(corpus)[name].value == 4
        assert made.clock() > 0
    with foreign_metric("metrics_of_mine:distinct_share", settings(metrics_here)) as made:
        assert (made.direction, made.effective_number, made.source) == (
            *("down", True, "Somebody 2026"),
        )
        assert Bench([made], None).values(corpus)[made.name].value == pytest.approx(1 / 3)


def test_flags_say_what_the_function_does_not(metrics_here):
    given = settings(metrics_here, direction="down", effective_number=True)
    with foreign_metric("metrics_of_mine:distinct_words", given) as made:
        assert (made.direction, made.effective_number) == ("down", True)


def test_a_metric_that_fails_has_the_reason(metrics_here):
    with foreign_metric("metrics_of_mine:broken", settings(metrics_here)) as made:
        two = Bench([made], None).values(GradedCorpus("two", ["a", "b"]))[made.name]
        one = Bench([made], None).values(GradedCorpus("one", ["a"]))[made.name]
    assert (two.value, two.reason) == (None, "its value is nan")
    assert (one.value, one.reason) == (None, "ZeroDivisionError: division by zero")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("metrics_of_mine:missing", "AttributeError"),
        ("no_such_module:metric", "ModuleNotFoundError"),
        ("metrics_of_mine:odd", "direction='sideways'"),
        (":metric", "give module:function"),
    ],
)
def test_what_is_no_metric_is_refused(metrics_here, name, says):
    with pytest.raises(UserError, match=says), foreign_metric(name, settings(metrics_here)):
        pass


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--metric=no_such_metric"], "--metric=no_such_metric: give module:function, all, or"),
        (["--metric=mtld", "--documents=10"], "--documents=10: give 64 or more"),
        (["--metric=mtld", "--people=nowhere.jsonl"], "--people=nowhere.jsonl: no such file"),
        (["--metric=mtld", "--label_field=topic"], "labels belong to corpora given by --ladders"),
        (["--metric=mtld", "corpus.jsonl"], "corpora are given by --ladders"),
        ([], "--metric is required, e.g. --metric=all"),
    ],
)
def test_bad_usage_is_one_line_and_leaves_nothing(command, tmp_path, flags, says):
    output = tmp_path / "grades"
    done = command("divsyn_jax.grading.grade_metric", f"--output={output}", *flags)
    fails_with_one_line(done, says)
    assert not output.exists()


@pytest.mark.long
def test_a_metric_in_ten_lines_is_graded(command, metrics_here):
    """Without embeddings and with the fewest documents."""
    ladder = []
    for kinds in (1, 2, 4):
        lines = [
            json.dumps({"text": f"kind {n % kinds} of text", "kind": n % kinds}) for n in range(64)
        ]
        (metrics_here / f"{kinds}.jsonl").write_text("\n".join(lines))
        ladder.append(f"{kinds}.jsonl")
    made = [{"ladder": "made", "files_in_increasing_diversity": ladder}]
    (metrics_here / "ladders.json").write_text(json.dumps(made))
    output = metrics_here / "grades"
    done = command(
        "divsyn_jax.grading.grade_metric",
        "--metric=metrics_of_mine:distinct_words,distinct_1,mtld",
        *(f"--output={output}", "--documents=64", "--ladders=ladders.json", "--effective_number"),
        "--label_field=kind",
        cwd=metrics_here,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
    mine, distinct, _ = read_grades(output / "grades.json")["metrics"]
    assert mine["order"]["value"] == pytest.approx(1)
    # 4, 5 and 7 words, for 1, 2 and 4 kinds.
    assert mine["count"]["value"] == pytest.approx(0.9163, abs=1e-4)
    assert mine["response"]["sees"] == "topics"
    assert mine["invariance"]["shuffled"] == 0
    assert mine["cost"]["value"] > 0
    assert (mine["people"]["value"], mine["training"]["value"]) == (None, None)
    assert distinct["invariance"]["copies"] < 0
    assert (output / "grades.md").read_text() in done.stdout
    assert "metrics_of_mine:distinct_words" in (output / "report.html").read_text()


def grades_of(name: str) -> dict:
    nothing = {"value": None, "reason": "not measured <here>"}
    parts = ("order", "count", "response", "people", "invariance", "cost", "training")
    shares = {"topics": 0.75, "styles": 0.25}
    return {
        "format": 1,
        "settings": {"documents": 64},
        "embedding_model": None,
        "metrics": [
            {
                "metric": name,
                "source": "",
                "direction": "up",
                "effective_number": True,
                **dict.fromkeys(parts, nothing),
                "response": {"value": 0.75, "sees": "topics", "shares": shares},
            }
        ],
    }


def test_grades_are_read_as_they_were_written(tmp_path):
    path = tmp_path / "grades.json"
    write_grades(grades_of("made"), path)
    assert read_grades(path) == grades_of("made")
    path.write_text(json.dumps({**grades_of("made"), "metrics": [{"metric": 1}]}))
    with pytest.raises(UserError, match=r"grades.json: metrics\[0\]"):
        read_grades(path)
    path.write_text(json.dumps({"format": 99}))
    with pytest.raises(UserError, match="no grades of format 1"):
        read_grades(path)


def test_the_table_and_the_page_show_names_as_text():
    grades = grades_of("<b>|made")
    lines = grades_table(grades).splitlines()
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines[:3]} == {13}
    assert "topics 75%" in lines[2]
    shown = render_grades(grades)
    assert "&lt;b&gt;|made" in shown
    assert "<b>|made" not in shown
    assert "not measured &lt;here&gt;" in shown
