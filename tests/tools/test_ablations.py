"""tools/benchmarks/ablations.py as a user runs it."""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT, fails_with_one_line
from tests.diversity.corpora import write_labelled

SMALL = (
    "--sample_size=6",
    "--draws=20",
    "--sample_sizes=4,6",
    "--draw_counts=12,20",
    "--label_field=topic",
)


@pytest.fixture
def ablations(tmp_path):
    """`ablations(*arguments)`: the completed process and the tables that it wrote, by title."""
    corpus, output = write_labelled(tmp_path / "c.jsonl", [6] * 8), tmp_path / "out" / "a"

    def run(*arguments):
        script = ROOT / "tools" / "benchmarks" / "ablations.py"
        line = [sys.executable, str(script), str(corpus), f"--output={output}", *SMALL, *arguments]
        done = subprocess.run(line, capture_output=True, text=True, timeout=300)
        written = output.with_suffix(".json")
        content = json.loads(written.read_text())["ablations"] if written.exists() else []
        return done, {part["title"].split(" (")[0]: part for part in content}

    return run


@pytest.fixture
def judge(serve):
    """A server whose judge lumps topics together and finds that out when it verifies, and the flags
    that name it.
    """
    server = serve(brain="tests.diversity.agents.judge_brains:lumping")
    flags = (
        "--agent=openai",
        f"--base_url={server.base_url}",
        "--model=judge",
        "--criteria_sets=2",
    )
    return server, (*flags, "--criteria_proposals=2", "--criteria_sizes=2x2,3x4")


def _scores(part):
    return {
        row["setting"]: row["cluster_score"]["value"]
        for row in part["rows"]
        if "cluster_score" in row
    }


@pytest.mark.long
def test_every_ablation_by_an_endpoint_with_two_judges(ablations, judge, serve, tmp_path):
    server, flags = judge
    honest = serve(brain="tests.diversity.agents.judge_brains:honest")
    done, tables = ablations(*flags, f"--judges=other@{honest.base_url},oracle")
    assert done.returncode == 0, done.stderr
    parts = _scores(tables["Parts of the pipeline"])
    assert parts["without verification"] < 1 < 4 < parts["full"]
    by_hand = parts["clustering only, criteria by hand"]
    assert by_hand == pytest.approx(parts["without verification"])  # this judge reads no criteria
    judges = _scores(tables["Judge"])
    assert list(judges) == ["judge", f"other@{honest.base_url}", "oracle"]
    assert judges["judge"] == parts["full"] == _scores(tables["Documents in a draw"])["K = 6"]
    assert judges[f"other@{honest.base_url}"] == pytest.approx(judges["oracle"])
    assert _scores(tables["Documents in a draw"])["K = 4"] < judges["judge"]
    assert all(low <= high for low, high in [_ends(row) for row in tables["Draws"]["rows"]])
    assert all(
        row["criteria_of_first_set"]["metadata"]
        for row in tables["What criteria are made from"]["rows"]
    )
    page = (tmp_path / "out" / "a.md").read_text()
    assert "| K = 6 |" in page
    assert "| GPT-4 (paper) | - | - | 3.99 +/- 0.05 |" in page
    # Rows share what they ask: K = 6, every N, each J x M (this judge always finds the same
    # criteria), the pipeline and the judge are one set of draws; K = 4 and criteria by hand are two
    # others. A repetition asks nothing.
    paid = server.paid()
    # Each of the three is judged on five draws of known answer, too.
    assert sum(call.startswith("cluster-") for call in paid) == 3 * (20 + 5)
    again, tables_again = ablations(*flags, f"--judges=other@{honest.base_url},oracle")
    assert again.returncode == 0, again.stderr
    assert _scores(tables_again["Draws"]) == _scores(tables["Draws"])
    assert server.paid() == paid


def _ends(row):
    return row["cluster_score"]["ci_low"], row["cluster_score"]["ci_high"]


def test_a_budget_holds_for_all_rows_together(ablations, judge):
    server, flags = judge
    done, tables = ablations(*flags, "--max_calls=100", "--concurrency=4")
    assert done.returncode == 75, done.stderr
    assert "--max_calls" in done.stderr
    assert tables == {}
    assert 60 < len(server.paid()) <= 100


def test_an_offline_agent_says_what_does_not_apply(ablations):
    done, tables = ablations("--agent=oracle")
    assert done.returncode == 0, done.stderr
    for title in ("What criteria are made from", "Parts of the pipeline", "Granularity"):
        assert tables[title]["rows"] == []
        assert "Does not apply: the agent oracle" in tables[title]["note"]
    assert list(_scores(tables["Draws"])) == ["N = 12", "N = 20"]
    widths = [high - low for low, high in map(_ends, tables["Draws"]["rows"])]
    assert widths[1] < widths[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--agent=oracle", "--draw_counts=10,many"), "--draw_counts=many"),
        (("--agent=oracle", "--sample_sizes=10,60"), "fewer than --sample_size=60"),
        (("--agent=oracle", "--judges=gpt-4o"), "--judges=gpt-4o: a model needs --agent=openai"),
        (
            (
                "--agent=openai",
                "--base_url=http://127.0.0.1:9/v1",
                "--model=m",
                "--criteria_sizes=5",
            ),
            "give JxM",
        ),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(ablations, tmp_path, arguments, message):
    done, _ = ablations(*arguments)
    fails_with_one_line(done, message)
    assert not (tmp_path / "out").exists()
