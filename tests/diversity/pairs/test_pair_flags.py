"""--calibration, --pair_judge, --pairs_out, --pairs_in and --group_field as a user runs them."""

import csv
import json
import re

import pytest

from tests.conftest import fails_with_one_line
from tests.diversity.corpora import write_records

MODULE = "divsyn_jax.diversity.score_corpus"
CALIBRATE = "divsyn_jax.diversity.calibration.calibrate_agent"
SUBJECTS = (
    *("violin strings and bows", "tax law and returns", "apple orchards in winter"),
    *("football tactics", "infrared telescopes", "bread baking at home"),
)
OPENINGS = (
    "A short note on",
    "What we know of",
    "Questions about",
    "An old view of",
    "Why read of",
)
EMBEDDING = ("--agent=embedding", "--draws=50", "--baselines=none")
ORACLE = ("--agent=oracle", "--label_field=topic", "--draws=50", "--baselines=none")


def documents(count=90, kinds=6):
    """Documents of `kinds` subjects, three to a prompt."""
    return [
        {
            "text": f"{OPENINGS[number % 5]} {SUBJECTS[number % kinds]}, part {number}: subject"
            f" {number % kinds}.",
            "topic": f"t{number % kinds}",
            "prompt_id": number // 3,
        }
        for number in range(count)
    ]


@pytest.fixture
def corpus(tmp_path):
    return write_records(tmp_path / "c.jsonl", documents())


@pytest.fixture(scope="session")
def vectors(tmp_path_factory):
    """Vectors of all these tests, made once."""
    return f"--embedding_cache={tmp_path_factory.mktemp('vectors')}"


def score_of(output, name="c"):
    return json.loads((output / name / "score.json").read_text())


def fill(path, to, answer):
    """The sheet with `answer(row)` in `same`."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        row["same"] = answer(row)
    with open(to, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    return rows


def known(row):
    """By the numbers: the subject of document n is n modulo 6."""
    return int(int(row["first"]) % 6 == int(row["second"]) % 6)


@pytest.mark.long
def test_people_judge_pairs(command, corpus, tmp_path, vectors):
    output, sheet = tmp_path / "out", tmp_path / "pairs.csv"
    common = (str(corpus), f"--output={output}", vectors, *EMBEDDING)
    done = command(MODULE, *common, f"--pairs_out={sheet}", "--pairs=120")
    assert done.returncode == 0, done.stderr
    assert "--pairs_in" in done.stdout
    assert not (output / "c").exists()
    texts = [row["text"] for row in documents()]
    rows = fill(sheet, tmp_path / "one.csv", known)
    assert len(rows) == 120 + 24
    assert list(rows[0]) == ["pair", "first", "second", "text_first", "text_second", "same"]
    shown = [row for row in rows if row["text_second"] in texts and row["first"] != row["second"]]
    for row in shown:
        assert texts[int(row["first"])] == row["text_first"]
        assert texts[int(row["second"])] == row["text_second"]
    again = command(MODULE, *common, f"--pairs_out={sheet}")
    fails_with_one_line(again, "pairs.csv: exists, and may hold answers")

    fill(sheet, tmp_path / "two.csv", lambda row: "" if row is rows[0] else known(row))
    two = f"--pairs_in={tmp_path / 'one.csv'},{tmp_path / 'two.csv'}"
    done = command(MODULE, *common, two)
    assert done.returncode == 0, done.stderr
    judged = score_of(output)["effective_clusters"]["judged"]
    assert judged["ci_low"] <= 6 <= judged["ci_high"]
    assert judged["pairs"] == 120
    assert judged["judge"]["kind"] == "people"
    assert len(judged["judge"]["files"]) == 2
    assert judged["agreement"] == 1
    assert judged["agreement_pairs"] == 120
    assert [check["believed"] for check in judged["controls"]] == [True, True]
    assert sum(each["asked"] for each in judged["strata"]) == 120
    assert "pairs judged by 2 readers" in done.stdout
    page = (output / "report.html").read_text()
    assert "calibrated or judged" in page
    assert "What other numbers of pairs would give" in page
    # The same answers are not scored again, others are.
    assert "reused" in command(MODULE, *common, two).stdout

    half = tmp_path / "half.csv"
    places = {row["pair"]: place for place, row in enumerate(rows)}
    fill(sheet, half, lambda row: known(row) if places[row["pair"]] % 2 else "")
    careless = tmp_path / "careless.csv"
    fill(sheet, careless, lambda row: 1)
    done = command(MODULE, *common, f"--pairs_in={half}")
    assert "have no answer" in done.stdout
    assert score_of(output)["effective_clusters"]["judged"]["unanswered"] > 30
    done = command(MODULE, *common, f"--pairs_in={careless}")
    assert done.returncode == 0, done.stderr
    judged = score_of(output)["effective_clusters"]["judged"]
    assert judged["value"] is None
    assert "careless.csv: 12 control pairs of one kind answered, 100% rightly" in judged["reason"]
    assert "unusable" in done.stdout
    assert "unusable" in (output / "report.html").read_text()


@pytest.mark.long
def test_answers_about_another_corpus_are_refused(command, corpus, tmp_path, vectors):
    output, sheet = tmp_path / "out", tmp_path / "pairs.csv"
    common = (f"--output={output}", vectors, *EMBEDDING)
    assert (
        command(MODULE, str(corpus), *common, f"--pairs_out={sheet}", "--pairs=30").returncode == 0
    )
    fill(sheet, sheet, known)
    other = write_records(tmp_path / "c.jsonl", documents()[::-1])
    done = command(MODULE, str(other), *common, f"--pairs_in={sheet}")
    fails_with_one_line(done, "pairs.csv:2: the row 'p1-", "is none of this corpus")
    assert not (output / "c").exists()
    write_records(tmp_path / "c.jsonl", documents())
    fill(sheet, sheet, lambda row: "perhaps" if row["pair"].startswith("p3-") else known(row))
    done = command(MODULE, str(corpus), *common, f"--pairs_in={sheet}")
    fails_with_one_line(done, "pairs.csv:4: same is 'perhaps'")
    done = command(MODULE, str(corpus), *common, f"--pairs_in={tmp_path / 'none.csv'}")
    fails_with_one_line(done, "none.csv: no such file")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--pairs_out=a.csv", "--pairs_in=b.csv"], "do not go together"),
        (["--pair_judge=openai", "--pairs_in=b.csv"], "do not go together"),
        (["--pair_judge=openai"], "--base_url is required"),
        (["--pairs=5"], "--pairs=5: give 24 or more"),
        (["--pairs_in=b.csv,b.csv"], "names one file twice"),
        (["--group_field="], "--group_field is empty"),
        (["--group_field=absent"], "c.jsonl:1: no group in field 'absent'"),
        (["--calibration=absent.json"], "absent.json: cannot be read"),
        (["--base_url=http://localhost:1/v1"], "--base_url is for --agent=openai"),
    ],
)
def test_bad_flags_are_one_line(command, corpus, tmp_path, flags, message):
    output = tmp_path / "out"
    done = command(MODULE, str(corpus), f"--output={output}", *EMBEDDING, *flags)
    fails_with_one_line(done, message)
    assert not output.exists()


def test_pairs_are_of_one_corpus(command, corpus, tmp_path):
    other = write_records(tmp_path / "d.jsonl", documents())
    done = command(
        MODULE,
        *(str(corpus), str(other), f"--output={tmp_path / 'out'}", "--pairs_out=pairs.csv"),
        *EMBEDDING,
    )
    fails_with_one_line(done, "--pairs_out speaks of one corpus, and 2 are given")


@pytest.mark.long
def test_labelled_documents_calibrate_and_another_kind_of_text_is_warned_of(
    command, corpus, tmp_path, vectors
):
    saved = tmp_path / "calibration.json"
    done = command(
        CALIBRATE,
        *(str(corpus), "--label_field=topic", f"--save={saved}", "--kind_of_text=short notes"),
        vectors,
    )
    assert done.returncode == 0, done.stderr
    assert "90 documents of 6 kinds (short notes)" in done.stdout
    output = tmp_path / "out"
    common = (f"--output={output}", vectors, f"--calibration={saved}", *EMBEDDING)
    done = command(MODULE, str(corpus), *common)
    assert done.returncode == 0, done.stderr
    found = score_of(output)["effective_clusters"]["calibrated"]
    assert found["ci_low"] <= found["value"] <= found["ci_high"]
    assert abs(found["value"] - 6) < 0.6
    assert found["kind_of_text"] == "short notes"
    assert found["warnings"] == []
    assert re.fullmatch("[0-9a-f]{64}", found["fingerprint"])
    assert "effective clusters, calibrated on short notes" in done.stdout
    assert "calibrated on" in (output / "report.html").read_text()

    long = [{**row, "text": row["text"] * 12} for row in documents()]
    write_records(tmp_path / "long.jsonl", long)
    done = command(MODULE, str(tmp_path / "long.jsonl"), *common)
    assert done.returncode == 0, done.stderr
    (warning,) = [
        said
        for said in score_of(output, "long")["effective_clusters"]["calibrated"]["warnings"]
        if "words on average" in said
    ]
    assert warning in done.stdout
    assert "another kind of text" in (output / "report.html").read_text()

    made = json.loads(saved.read_text())
    saved.write_text(json.dumps({**made, "model": "another model"}))
    done = command(MODULE, str(corpus), *common)
    fails_with_one_line(done, "calibration.json: measured with another model")
    saved.write_text('{"version": 1}')
    fails_with_one_line(command(MODULE, str(corpus), *common), "no calibration of distances")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--label_field=topic", "--agent=oracle"], "--save is for --agent=embedding"),
        ([], "--save needs the field of the labels"),
        (["--label_field=absent"], "c.jsonl:1: no label in field 'absent'"),
        (["--label_field=prompt_id", "--max_documents=2", "--sample_size=2"], "labels with two"),
    ],
)
def test_what_cannot_calibrate_is_one_line(command, corpus, tmp_path, vectors, flags, message):
    saved = tmp_path / "saved.json"
    done = command(CALIBRATE, str(corpus), f"--save={saved}", vectors, *flags)
    fails_with_one_line(done, message)
    assert not saved.exists()


@pytest.mark.long
def test_groups_by_labels_and_by_vectors(command, tmp_path, vectors):
    rows = documents()
    for number, row in enumerate(rows):
        row["prompt_id"] = "all" if number % 6 < 3 and number > 60 else number % 10
    corpus = write_records(tmp_path / "c.jsonl", [*rows, {**rows[0], "prompt_id": "alone"}])
    output = tmp_path / "out"
    common = (str(corpus), f"--output={output}", "--group_field=prompt_id")
    done = command(MODULE, *common, *ORACLE)
    assert done.returncode == 0, done.stderr
    groups = score_of(output)["groups"]
    lines = [json.loads(line) for line in (output / "c" / "groups.jsonl").read_text().splitlines()]
    assert set(lines[0]) == {"group", "documents", "distinct_kinds", "effective_kinds"}
    assert len(lines) == groups["groups"] == 11
    assert groups["single"] == 1
    of_all = next(line for line in lines if line["group"] == "all")
    topics = [row["topic"] for row in rows if row["prompt_id"] == "all"]
    assert of_all["documents"] == len(topics)
    assert of_all["distinct_kinds"] == len(set(topics)) == 3
    shares = [topics.count(topic) / len(topics) for topic in set(topics)]
    assert of_all["effective_kinds"] == pytest.approx(1 / sum(share**2 for share in shares))
    mean = groups["distinct_kinds"]
    assert mean["value"] == pytest.approx(sum(line["distinct_kinds"] for line in lines) / 11)
    assert mean["ci_low"] <= mean["value"] <= mean["ci_high"]
    assert "within groups of prompt_id" in done.stdout
    assert "1 groups of one document are left out" in done.stdout
    assert "Within groups of" in (output / "report.html").read_text()

    done = command(MODULE, *common, *EMBEDDING, vectors, "--max_documents=40")
    assert done.returncode == 0, done.stderr
    groups = score_of(output)["groups"]
    assert "average linkage" in groups["measured_by"]
    assert groups["left_out"] == 91 - groups["documents"] > 0
    assert f"{groups['left_out']} documents of other groups were not read" in done.stdout
    done = command(MODULE, *common, *ORACLE, "--group_field=topic")
    assert score_of(output)["groups"]["distinct_kinds"]["value"] == 1


def _judging(server, corpus, output, vectors, *flags):
    return (
        MODULE,
        *(str(corpus), f"--output={output}", "--pair_judge=openai", "--model=judge", vectors),
        *(f"--base_url={server.base_url}", "--pairs=100", *EMBEDDING, *flags),
    )


@pytest.mark.long
def test_an_endpoint_judges_pairs_and_is_paid_once(command, serve, corpus, tmp_path, vectors):
    server = serve(brain="tests.diversity.agents.pair_brains:honest")
    output = tmp_path / "out"
    line = _judging(server, corpus, output, vectors)
    dry = command(*line, "--dry_run", "--price_input=1", "--price_output=1")
    assert dry.returncode == 0, dry.stderr
    assert not server.calls()
    foreseen = int(re.search(r"^pairs +(\d+)", dry.stdout, re.MULTILINE)[1])
    stopped = command(*line, "--max_calls=9")
    assert stopped.returncode == 75, stopped.stderr
    assert "--max_calls=9" in stopped.stderr
    assert len(server.calls()) == 9
    done = command(*line)
    assert done.returncode == 0, done.stderr
    assert foreseen == len(server.calls()) == 5 + 10 + 10
    score = score_of(output)
    judged = score["effective_clusters"]["judged"]
    assert judged["ci_low"] <= 6 <= judged["ci_high"]
    assert judged["pairs"] == 100
    assert judged["judge"]["model"] == "judge"
    assert judged["controls"][0]["believed"] is True
    assert judged["controls"][0]["answered"] == 24
    assert judged["pairs_needed"] > 0
    assert sum(each["asked"] for each in judged["strata"]) == 100
    assert judged["usage"]["calls"] == score["usage"]["calls"] == 25 - 9
    assert score["usage"]["cached_calls"] == 9
    assert "100 pairs judged by judge" in done.stdout
    assert "100 pairs judged by judge" in (output / "report.html").read_text().replace(
        "<bdi>", ""
    ).replace("</bdi>", "")
    again = command(*line)
    assert "reused" in again.stdout
    assert len(server.calls()) == 25


def test_a_judge_who_fails_the_control_pairs_gives_no_number(
    command, serve, corpus, tmp_path, vectors
):
    server = serve(brain="tests.diversity.agents.pair_brains:always")
    output = tmp_path / "out"
    done = command(*_judging(server, corpus, output, vectors))
    assert done.returncode == 0, done.stderr
    assert len(server.calls()) == 5  # it is asked no further
    judged = score_of(output)["effective_clusters"]["judged"]
    assert judged["value"] is None
    assert "ci_low" not in judged
    assert "12 of two kinds, 0% rightly" in judged["reason"]
    for said in (done.stdout, (output / "report.html").read_text()):
        assert "unusable" in said
        assert "12 of two kinds, 0% rightly" in said
