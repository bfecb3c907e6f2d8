"""A whole study, end to end:

what it writes, that killing it changes nothing, and what it refuses.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from configs.studies import corpora, tiny
from divsyn_jax.base.commandline import Unfinished, UserError
from divsyn_jax.base.errors import Stopped
from divsyn_jax.data.readers.corpus import ReadOptions
from divsyn_jax.study import __main__ as study
from divsyn_jax.study import local_runner, study_file
from divsyn_jax.study import plan as study_plan
from divsyn_jax.study import recipe as study_recipe
from divsyn_jax.study import results as study_results
from divsyn_jax.study import stages as study_stages
from divsyn_jax.study import texts as study_data
from divsyn_jax.study.controls.held_equal import held_equal as held_equal_of
from divsyn_jax.study.reporting import figures as study_figures
from tests.conftest import ROOT, fails_with_one_line, small_texts, write_jsonl

CONFIG = "--config=tests/study/small_study.py"
runs = pytest.mark.runs


@pytest.fixture(scope="module")
def finished(tmp_path_factory, command):
    pytest.importorskip("matplotlib")
    workdir = tmp_path_factory.mktemp("study") / "whole"
    result = command("divsyn_jax.study", CONFIG, f"--workdir={workdir}", timeout=1500)
    assert result.returncode == 0, result.stderr + result.stdout
    (workdir / "output.txt").write_text(result.stdout)
    return workdir


def results(workdir):
    """study.json without what the clock decides, and without the place in its advice."""
    content = json.loads((workdir / "study.json").read_text().replace(str(workdir), "WORKDIR"))
    for run in content["runs"]:
        run.pop("seconds")
    return content


@runs
def test_study_json_holds_what_it_promises(finished):
    content = results(finished)
    assert [level["name"] for level in content["levels"]] == [
        "narrow",
        "middle",
        "middle_twin",
        "broad",
    ]
    assert [run["stage"] for run in content["runs"]] == ["pretrain"] * 4 + ["sft"] * 4
    clusters = {
        level["name"]: level["metrics"]["effective_clusters"] for level in content["levels"]
    }
    # Topics are dealt evenly, so the oracle reads their number.
    assert clusters["narrow"]["ci_low"] <= 2 <= clusters["narrow"]["ci_high"] + 1e-9
    assert clusters["narrow"]["value"] < clusters["middle"]["value"] < clusters["broad"]["value"]
    for row in content["correlations"]:
        assert row["n"] == 3  # the null twin is left out
    assert any("null control" in verdict["hypothesis"] for verdict in content["verdicts"])
    read = study_file.read_study(finished / "study.json")["verdicts"]
    assert [judged.to_json() for judged in read] == content["verdicts"]
    assert content["heldout"]["grammar"]["documents"] == 20
    for level in content["levels"]:
        for run in (run for run in content["runs"] if run["level"] == level["name"]):
            prefix = "" if run["stage"] == "pretrain" else "sft/"
            for test in ("grammar/bits_per_byte", "tasks/mean"):
                assert (
                    level["performance"][prefix + test]["value"] == run["metrics"][f"eval/{test}"]
                )
    assert content["primary_outcome"] == "grammar/bits_per_byte"


@runs
def test_tasks_are_the_questions_of_the_grammar_item_by_item(finished):
    for run in results(finished)["runs"]:
        folder = (
            finished / "runs" / run["level"] / "seed0" / ("sft" if run["stage"] == "sft" else "")
        )
        items = [
            json.loads(line) for line in (folder / "eval" / "items.jsonl").read_text().splitlines()
        ]
        assert len(items) == 160  # of the 20 topics of the broadest level
        assert run["metrics"]["eval/tasks/mean"] == pytest.approx(
            sum(item["value"] for item in items) / 160
        )
        assert (
            json.loads((folder / "eval.json").read_text())["tasks"]["items"]["metric"] == "acc_norm"
        )


@runs
def test_a_run_knows_its_level_and_how_diverse_it_was_scored(finished):
    levels = json.loads((finished / "recipe.json").read_text())["recipe"]["levels"]
    for level in levels:
        content = json.loads(
            (finished / "runs" / level["name"] / "seed0" / "level.json").read_text()
        )
        assert content["level"] == level
        source = content["sources"]["synthetic"]
        assert source["score"] == json.loads(
            (finished / "scores" / level["name"] / "score.json").read_text()
        )
        assert source["corpora"][0]["name"] == source["score"]["corpus"]["name"] == level["name"]


@runs
def test_a_study_that_decides_nothing_says_so_before_it_trains(finished):
    shown = (finished / "output.txt").read_text()
    told = "ADVICE: 3 corpora decide nothing about diversity"
    assert told in shown
    assert shown.index(told) < shown.index("[train]")
    content = results(finished)
    assert any(line.startswith("3 corpora decide nothing") for line in content["advice"])
    assert "Said before training" in (finished / "report.html").read_text()
    (added,) = [line for line in content["advice"] if "Add 2 or more: " in line]
    assert "--corpora=ANOTHER_1.jsonl ANOTHER_2.jsonl" in added


@runs
def test_closeness_and_the_controls_of_questions_are_in_the_results(finished):
    content = results(finished)
    broad, narrow = (
        next(level["closeness"] for level in content["levels"] if level["name"] == name)
        for name in ("broad", "narrow")
    )
    assert broad["of_evaluation"]["grammar"] < narrow["of_evaluation"]["grammar"]
    assert set(broad["of_corpus"]) == {*content["heldout"], "tasks/mean"}
    stages = [row["stage"] for row in content["choice_measures"]]
    assert stages.count("pretrain") == stages.count("sft") == 5
    assert not any(row["knowledge"] for row in content["choice_measures"])  # one seed


@runs
def test_the_report_is_self_contained(finished):
    page = (finished / "report.html").read_text()
    assert "positive control" in page
    assert page.count("<svg") == 4
    for outside in ("http://", "https://", "<script", "<link", "<img"):
        assert outside not in page.replace("http://www.w3.org/", ""), outside  # the SVG name space
    assert (finished / "report.png").read_bytes().startswith(b"\x89PNG")


@runs
def test_repeating_the_command_runs_nothing_again(finished, command):
    before = {path: path.stat().st_mtime_ns for path in (finished / "runs").rglob("*")}
    result = command("divsyn_jax.study", CONFIG, f"--workdir={finished}")
    assert result.returncode == 0, result.stderr
    assert before == {path: path.stat().st_mtime_ns for path in (finished / "runs").rglob("*")}


@runs
def test_killed_and_repeated_gives_the_same_study(finished, tmp_path):
    workdir = tmp_path / "killed"
    arguments = [sys.executable, "-m", "divsyn_jax.study", CONFIG, f"--workdir={workdir}"]

    def finished_runs():
        # os.walk passes over folders that vanish while they are read: a checkpoint is renamed when
        # it is whole.
        return sum("DONE" in files for _, _, files in os.walk(workdir / "runs"))

    for goal, kind in ((1, signal.SIGKILL), (5, signal.SIGTERM)):
        process = subprocess.Popen(
            arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        deadline = time.monotonic() + 200
        while finished_runs() < goal and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(kind)
        output, _ = process.communicate(timeout=60)
        assert process.returncode == (-9 if kind == signal.SIGKILL else 75), output
        assert finished_runs() < 8
    times = {path: path.stat().st_mtime_ns for path in workdir.glob("runs/**/DONE")}
    result = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr + result.stdout
    assert all(path.stat().st_mtime_ns == time_ns for path, time_ns in times.items())
    assert results(workdir) == results(finished)


def test_preparing_stops_unfinished_on_sigterm(tmp_path):
    arguments = [sys.executable, "-m", "divsyn_jax.study", CONFIG, f"--workdir={tmp_path / 'out'}"]
    process = subprocess.Popen(
        [*arguments, "--config.documents=1000000"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    for line in process.stdout:
        if line.startswith("[corpora]"):
            break
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 75, errors
    assert "stopped by SIGTERM; run the same command to continue" in errors
    assert not (tmp_path / "out" / "PREPARED").exists()


def test_a_library_cannot_keep_sigterm_to_itself():
    @study._stoppable()
    def start_a_bar():
        with contextlib.suppress(Exception):  # as tqdm does while it starts its monitor
            os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(Stopped):
        start_a_bar()


def test_a_library_cannot_turn_sigterm_into_a_failure():
    before = signal.getsignal(signal.SIGTERM)

    @study._stoppable()
    def train_tokenizer():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except Exception as error:  # SentencePiece does so with what its sentences raise
            raise UserError("cannot train") from error

    with pytest.raises(Stopped):
        train_tokenizer()

    with pytest.raises(UserError), study._stoppable():
        raise UserError("a failure of its own")
    assert signal.getsignal(signal.SIGTERM) is before


def test_only_large_corpora_are_tokenised_by_several_processes(tmp_path, monkeypatch):
    monkeypatch.setattr(local_runner, "cores", lambda: 4)
    for mebibytes, workers in ((1, 1), (31, 1), (50, 3), (500, 4)):
        with open(tmp_path / "a.jsonl", "wb") as file:
            file.truncate(mebibytes << 20)
        assert study_stages._workers(str(tmp_path / "*.jsonl")) == workers
    assert study_stages._workers("hf:wikitext:test") == 4


@runs
def test_a_workdir_belongs_to_one_recipe(finished, command):
    result = command("divsyn_jax.study", CONFIG, f"--workdir={finished}", "--config.train.steps=7")
    fails_with_one_line(result, "another recipe", "--workdir")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config=configs/studies/corpora.py"], "at least two corpora"),
        (
            [
                "--config=configs/studies/corpora.py",
                "--corpora=none1.jsonl none2.jsonl",
                "--eval=grammar",
            ],
            "none1.jsonl: no such file",
        ),
        (
            [
                "--config=configs/studies/corpora.py",
                "--corpora=README.md pyproject.toml",
                "--eval=grammar",
            ],
            "pyproject.toml: unknown format",
        ),
        (
            [
                "--config=configs/studies/corpora.py",
                "--corpora=a=README.md a=README.md",
                "--eval=grammar",
            ],
            "called 'a'",
        ),
        (
            ["--config=configs/studies/corpora.py", "--corpora=a=README.md b=README.md"],
            "needs held-out text",
        ),
        (["--config=configs/studies/tiny.py", "--text_field=body"], "hold their text in 'text'"),
        (["--config=configs/studies/tiny.py", "--config.seeds=()"], "config.seeds=[]"),
        (
            ["--config=configs/studies/tiny.py", "--config.null_control=('breadth_1','x')"],
            "null_control names 'x'",
        ),
        (
            ["--config=configs/studies/tiny.py", "--config.null_control=('breadth_4','pydoc')"],
            "which is no level",
        ),
        (
            ["--config=configs/studies/small.py", "--corpora=real.jsonl"],
            "a level cannot be called 'real'",
        ),
        (
            ["--config=configs/studies/tiny.py", "--eval=items=b.jsonl"],
            "a held-out domain cannot be called 'items'",
        ),
        (
            ["--config=configs/studies/tiny.py", "--config.heldout_documents=0"],
            "must be at least 1",
        ),
        (["--config=configs/studies/tiny.py", "--config.primary=score"], "config.primary='score'"),
        (
            ["--config=configs/studies/tiny.py", "--config.tasks=('piqa',)"],
            "there is the task 'items' alone",
        ),
        (
            ["--config=configs/studies/tiny.py", "--config.task_data=nowhere"],
            "nowhere: no items.jsonl",
        ),
        (
            ["--config=configs/studies/tiny.py", "--config.sft.data=none.jsonl"],
            "none.jsonl: no such file",
        ),
        (["--config=configs/tiny.py"], "config.name: missing"),
        (["--config=configs/studies/huge.py"], "no such config file"),
        (["--config=configs/studies/tiny.py", "--config.sedes=1"], "sedes"),
    ],
)
def test_bad_input_gives_one_line(tmp_path, command, arguments, message):
    fails_with_one_line(
        command("divsyn_jax.study", *arguments, f"--workdir={tmp_path / 'out'}"), message
    )
    assert not (tmp_path / "out").exists()


def test_a_workdir_that_no_command_of_a_run_can_name_is_refused():
    with pytest.raises(UserError, match="s3://bucket/study: is a URL"):
        study_recipe.workdir_of({"name": "s"}, "s3://bucket/study")
    for given in ("a,b/study", "a\nb"):  # its runs get their shards as FOLDER,FOLDER
        with pytest.raises(UserError, match="separates folders"):
            study_recipe.workdir_of({"name": "s"}, given)


def test_the_names_of_the_studys_own_folders_are_no_levels():
    def refused(name, **changes):
        level = {"name": name, "topics": 2, "styles": 1, "personas": 1, "seed": 0}
        config = tiny.get_config().to_dict()
        with pytest.raises(
            UserError, match=f"a level cannot be called '{name}': .* write another NAME=path"
        ):
            study.resolve({**config, "levels": [*config["levels"], level | changes]}, [], [], "")

    for name in ("real", "sft", "heldout", "equal", "instructions", "items", "embeddings"):
        refused(name)
    refused("sft", corpus="a.jsonl")
    # Where there is no such folder, the name is free.
    for name in ("real", "sft", "equal", "items"):
        config = corpora.get_config().to_dict()
        study.resolve(config, [f"{name}=a.jsonl", "b.jsonl"], ["news=c.jsonl"], "", read=False)


def test_a_level_turns_every_knob_of_the_grammar(tmp_path):
    level = {"name": "a", "topics": 3, "styles": 2, "personas": 2, "seed": 4, "documents": 12}
    knobs = {"wordings": 4, "formats": 2, "generators": ("dialect-a", "dialect-b")}
    study_data.write_level_corpus({**level, **knobs, "topics_per_document": 2}, 99, tmp_path / "a")
    manifest = json.loads((tmp_path / "a" / "manifest.json").read_text())
    assert manifest["documents"] == 12
    breadth = manifest["breadth"]
    assert (breadth["wordings"], breadth["formats"], breadth["topics_per_document"]) == (4, 2, 2)
    assert breadth["generators"] == ["dialect-a", "dialect-b"]
    # Levels of recipes that name none of them are written as before these knobs existed.
    plain = {key: level[key] for key in ("topics", "styles", "personas", "seed")}
    study_data.write_level_corpus(plain, 5, tmp_path / "b")
    manifest = json.loads((tmp_path / "b" / "manifest.json").read_text())
    assert set(manifest["breadth"]) == {
        "topics", "styles", "personas", "topics_per_document", "generators"
    }  # fmt: skip
    # Held-out text of the grammar holds what any level draws on.
    widest = study_data.widest([{**level, **knobs}, {**plain, "topics": 9}, {"corpus": "x.jsonl"}])
    assert (widest.topics, widest.wordings, widest.formats) == (9, 4, 2)
    assert widest.generators == ("dialect-a", "dialect-b", "grammar")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda config: config["levels"][1].update(wordings=9),
            r"config.levels\[1\].wordings must be a whole number from 0 to 6, not 9",
        ),
        (
            lambda config: config["levels"][1].update(documents=0),
            r"config.levels\[1\].documents=0: give a whole number of at least 1",
        ),
        (
            lambda config: config["levels"][1].update(corpus="a.jsonl", formats=2),
            r"config.levels\[1\].formats: a knob of the built-in grammar",
        ),
        (
            lambda config: config.update(sede=1),
            "config.sede: unknown key; known are name, kind, levels",
        ),
        (
            lambda config: config["levels"][1].update(synthetic_wieght=2.0),
            r"config.levels\[1\].synthetic_wieght: unk",
        ),
        (lambda config: config["levels"][1].pop("seed"), r"config.levels\[1\].seed: missing"),
        (lambda config: config["levels"][1].pop("name"), r"config.levels\[1\].name: missing"),
        (lambda config: config["train"].pop("config"), "config.train.config: missing"),
        (lambda config: config["train"].pop("seq_len"), "config.train.seq_len: missing"),
    ],
)
def test_keys_that_nobody_reads_or_that_lack_are_named(change, message):
    config = tiny.get_config().to_dict()
    change(config)
    with pytest.raises(UserError, match=message):
        study.resolve(config, [], [], "")


def test_every_stage_has_the_window_length_of_the_shards(tmp_path):
    config = tiny.get_config().to_dict()
    config["train"]["seq_len"] = 256
    longer = study_recipe.Study(study.resolve(config, [], [], ""), tmp_path)
    for step in study_plan.steps(longer, longer.runs[0]):
        assert "evaluate" in step.stage or "--config.seq_len=256" in step.command
    config["sft"]["seq_len"] = 128
    with pytest.raises(UserError, match=r"^sft: seq_len=128, .* config.train.seq_len=256"):
        study.resolve(config, [], [], "")
    del config["sft"]["seq_len"]
    config["sizes"] = [{"name": "large", "seq_len": 512}]
    with pytest.raises(
        UserError, match=r"^pretrain at size 'large': seq_len=512, .*=256; give the same"
    ):
        study.resolve(config, [], [], "")


def test_heldout_text_is_never_trained_on(tmp_path):
    texts = small_texts(40)
    corpus = write_jsonl(tmp_path / "a.jsonl", texts[:25])
    keys = study_data.training_keys([str(corpus)], ReadOptions())
    # The same words in other case and spacing are the same document.
    heldout = [texts[3].upper(), texts[4].replace(" ", "  "), *texts[20:]]
    record = study_data.write_heldout(tmp_path / "held.jsonl", heldout, keys, 10)
    assert (record["candidates"], record["in_training"], record["documents"]) == (22, 7, 10)
    kept = [json.loads(line)["text"] for line in (tmp_path / "held.jsonl").read_text().splitlines()]
    assert set(kept) <= set(texts[25:])
    with pytest.raises(UserError, match="all 25 held-out documents are in a training corpus"):
        study_data.write_heldout(tmp_path / "none.jsonl", texts[:25], keys, 10)


def test_the_choice_of_heldout_text_does_not_depend_on_order(tmp_path):
    texts = small_texts(200)
    one = study_data.write_heldout(tmp_path / "1.jsonl", texts, set(), 20)
    two = study_data.write_heldout(tmp_path / "2.jsonl", texts[::-1], set(), 20)
    assert one == two


def test_pydoc_sides_share_no_topic():
    training = {passage["topic"] for passage in study_data.pydoc_passages(heldout=False)}
    heldout = {passage["topic"] for passage in study_data.pydoc_passages(heldout=True)}
    assert training
    assert heldout
    assert not training & heldout


def test_the_fingerprint_follows_texts_not_paths(tmp_path):
    def of(folder):
        (tmp_path / folder).mkdir()
        paths = [
            write_jsonl(tmp_path / folder / f"{name}.jsonl", small_texts(5, seed))
            for seed, name in enumerate("ab")
        ]
        return (
            study.resolve(
                corpora.get_config().to_dict(), [str(path) for path in paths], ["grammar"], ""
            ),
            paths,
        )

    (one, paths), (two, _) = of("one"), of("two")
    assert study.study_fingerprint(one) == study.study_fingerprint(two)
    write_jsonl(paths[0], small_texts(5, 9))
    changed = study.resolve(corpora.get_config().to_dict(), list(map(str, paths)), ["grammar"], "")
    assert study.study_fingerprint(changed) != study.study_fingerprint(one)


def test_corpora_may_be_urls_globs_and_data_sets(tmp_path, monkeypatch):
    fsspec = pytest.importorskip("fsspec")
    monkeypatch.chdir(tmp_path)
    for seed, name in enumerate("abc"):
        write_jsonl(tmp_path / f"{name}.jsonl", small_texts(5, seed))
    with fsspec.open("memory://held/news.jsonl", "wb") as file:
        file.write((tmp_path / "c.jsonl").read_bytes())
    config = corpora.get_config().to_dict()
    heldout = ["news=memory://held/news.jsonl", "local=c*.jsonl"]
    recipe = study.resolve(
        config, ["a.jsonl", "far=memory://held/*.jsonl", "glob=[b].jsonl"], heldout, ""
    )
    levels = {level["name"]: level["corpus"] for level in recipe["levels"]}
    assert levels == {
        "a": f"{tmp_path}/a.jsonl",
        "far": "memory://held/*.jsonl",
        "glob": f"{tmp_path}/[b].jsonl",
    }
    sources = {name: domain["source"] for name, domain in recipe["heldout"].items()}
    assert sources == {"news": "memory://held/news.jsonl", "local": f"{tmp_path}/c*.jsonl"}
    assert len({domain["fingerprint"] for domain in recipe["heldout"].values()}) == 1
    with pytest.raises(UserError, match="^hf:wikitext: use the form hf:"):
        study.resolve(config, ["a.jsonl", "b.jsonl"], ["news=hf:wikitext"], "")


def test_the_fingerprint_follows_every_item_file_of_a_group_of_tasks(tmp_path):
    pytest.importorskip("lm_eval")
    from divsyn_jax.evaluation import harness

    for task in harness.PAPER_TASKS:
        write_jsonl(tmp_path / f"{task}.jsonl", [f"an item of {task}"])
    config = tiny.get_config().to_dict() | {
        "tasks": ("paper",),
        "task_data": str(tmp_path),
        "primary": "heldout",
    }
    before = study.study_fingerprint(study.resolve(config, [], [], ""))
    for task in harness.PAPER_TASKS:
        write_jsonl(tmp_path / f"{task}.jsonl", [f"another item of {task}"])
        after = study.study_fingerprint(study.resolve(config, [], [], ""))
        assert after != before
        before = after


def test_a_curve_has_at_most_100_points():
    for count in (1, 100, 101, 199, 200, 201):
        lines = [{"step": 10 * index, "loss": float(index)} for index in range(1, count + 1)]
        curve = study_results._curve(lines)
        assert len(curve) <= 100
        assert curve[-1][0] == 10 * count
    assert curve[:2] == [[30, 2.0], [60, 5.0]]


def test_learning_curves_of_each_size_lie_on_its_own_steps():
    pytest.importorskip("matplotlib").use("Agg")
    curves = {"small": [[1, 5.0], [2, 4.0]], "large": [[10, 3.0], [20, 2.0], [30, 1.0]]}
    runs = [
        {
            "level": level,
            "size": size,
            "seed": seed,
            "stage": stage,
            "curve": [[x, y + seed] for x, y in curve],
        }
        for stage in ("pretrain", "sft")
        for size, curve in curves.items()
        for level in ("narrow", "broad")
        for seed in (0, 1)
    ]
    figure = study_figures.curves_figure(
        {"runs": runs, "levels": [{"name": "narrow"}, {"name": "broad"}]}
    )
    assert [axis.get_title() for axis in figure.axes] == ["small", "large"]
    for axis, curve in zip(figure.axes, curves.values(), strict=True):
        for line in axis.lines:
            assert line.get_xydata().tolist() == [[x, y + 0.5] for x, y in curve]


def held_equal(levels):
    """Of {level: (synthetic weight, unique tokens, epochs at the first of two sizes)}; the second
    trains three times as long.
    """
    configs = {
        size: {"steps": steps, "global_batch": 4, "seq_len": 100}
        for size, steps in (("s", 10), ("l", 30))
    }
    runs = [
        {
            "level": name,
            "size": size,
            "stage": "pretrain",
            "metrics": {"epochs/synthetic": factor * epochs},
        }
        for size, factor in (("s", 1), ("l", 3))
        for name, (_, _, epochs) in levels.items()
    ]
    recipe = {"real": "pydoc", "real_weight": 1.0, "synthetic_weight": 3.0}
    recipe["levels"] = [
        {"name": name, "synthetic_weight": weight} for name, (weight, _, _) in levels.items()
    ]
    records = [{"name": name, "unique_tokens": unique} for name, (_, unique, _) in levels.items()]
    return held_equal_of(recipe, configs, records, runs)


def test_what_is_held_equal_is_read_off_the_runs():
    equal, unequal = held_equal({"a": (3.0, 1000, 0.5), "b": (3.0, 1010, 0.504)})
    assert equal[0] == "training tokens: 4,000 a run (s), 12,000 a run (l)"
    assert equal[2:] == [
        "share of real text: 25% (within 2%)",
        "unique tokens of the corpora (of distinct documents): 1,000 to 1,010 (within 2%)",
        "epochs over their distinct text (s): 0.5 to 0.504 (within 2%)",
        "epochs over their distinct text (l): 1.5 to 1.51 (within 2%)",
    ]
    assert unequal == []
    equal, unequal = held_equal(
        {"real_only": (0, 9000, 0.0), "a": (3.0, 1000, 0.5), "b": (9.0, 2000, 0.5)}
    )
    assert unequal == [
        "share of real text: 10% to 100%",
        "unique tokens of the corpora (of distinct documents): 1,000 to 2,000",
    ]
    assert equal[2:] == [
        "epochs over their distinct text (s): 0.5 (within 2%)",
        "epochs over their distinct text (l): 1.5 (within 2%)",
    ]


def test_a_level_of_real_text_alone_reads_the_shards_that_know_it(tmp_path):
    paths = [
        write_jsonl(tmp_path / f"{name}.jsonl", small_texts(5, seed))
        for seed, name in enumerate(("real", "b"))
    ]
    config = tiny.get_config().to_dict() | {"real": str(paths[0]), "null_control": ()}
    weights = {"synthetic_weight": 0}
    config["levels"] += [
        {"name": f"only_{path.stem}", "corpus": str(path), **weights} for path in paths
    ]
    resolved = study_recipe.Study(study.resolve(config, [], [], ""), tmp_path / "out")
    mixtures = {}
    for run in resolved.runs[:9]:
        train = next(
            word
            for word in study_plan.steps(resolved, run)[0].command
            if word.startswith("--config.data.")
        )
        mixtures[run.level] = train.removeprefix("--config.data.train=").replace(
            f"{tmp_path}/out/shards/", ""
        )
    assert mixtures["breadth_1"] == "real=real:1,synthetic=breadth_1:3"
    assert mixtures["only_real"] == "real=only_real:1"
    assert mixtures["only_b"] == "real=real:1"


RUN_RECIPE = """from configs import {base}
def get_config(argument=None):
    config = {base}.get_config(argument)
    config.update({changes})
    return config
"""


@pytest.fixture
def own_files(tmp_path):
    """Claims a workdir for a study whose run recipes and real text are files of the test's."""

    def write(name="pretrain", **changes):
        base = "tiny" if name == "pretrain" else "sft_tiny"
        (tmp_path / f"{name}.py").write_text(RUN_RECIPE.format(base=base, changes=changes))

    def claim():
        config = tiny.get_config().to_dict()
        config["train"]["config"], config["sft"]["config"] = (
            str(tmp_path / "pretrain.py"),
            str(tmp_path / "sft.py"),
        )
        config["real"] = str(tmp_path / "real.jsonl")
        config["sizes"] = [{"name": "small"}, {"name": "large", "optimizer": {"b2": 0.99}}]
        study_stages.claim_workdir(
            study_recipe.Study(study.resolve(config, [], [], ""), tmp_path / "out")
        )

    for name in ("pretrain", "sft"):
        write(name)
    write_jsonl(tmp_path / "real.jsonl", small_texts(5))
    claim()
    claim()
    return write, claim


def test_a_changed_run_recipe_is_another_study(own_files):
    write, claim = own_files
    write(optimizer={"peak_lr": 0.0015})
    with pytest.raises(
        UserError,
        match=r"config.run_recipes.small/pretrain.optimizer.peak_lr was 0.003, now 0.0015\)",
    ):
        claim()
    write(
        checkpoint={"every_steps": 5, "keep": 3}, log={"tracker": "tensorboard"}
    )  # how often it saves is no other study
    claim()
    write("sft", optimizer={"weight_decay": 0.25})
    with pytest.raises(
        UserError, match=r"config.run_recipes.small/sft.optimizer.weight_decay was 0.0, now 0.25\)"
    ):
        claim()


def test_real_text_replaced_in_place_is_another_study(own_files, tmp_path):
    _, claim = own_files
    write_jsonl(tmp_path / "real.jsonl", small_texts(5, seed=9))
    with pytest.raises(UserError, match=r"config.real_fingerprint was .* another --workdir"):
        claim()
    (tmp_path / "real.jsonl").unlink()
    with pytest.raises(UserError, match=r"real.jsonl: no such file"):
        claim()


@pytest.mark.parametrize(
    ("name", "keys", "message"),
    [
        ("train", {"config": "configs/none.py"}, "config 'configs/none.py': no such file"),
        (
            "train",
            {"optimiser": {"peak_lr": 1e-3}},
            "configs/tiny.py: cannot be overridden so .*optimiser",
        ),
        ("train", {"steps": "many"}, "configs/tiny.py: cannot be overridden so"),
        ("sft", {"config": "configs/__init__.py"}, "configs/__init__.py: not a run recipe"),
        ("sft", {"peak_lr": 1e-3}, "configs/sft_tiny.py: cannot be overridden so .*peak_lr"),
    ],
)
def test_a_run_recipe_that_does_not_stand_is_refused_at_once(name, keys, message):
    config = tiny.get_config().to_dict()
    config[name].update(keys)
    with pytest.raises(UserError, match=message):
        study.resolve(config, [], [], "")


def test_short_names():
    assert study_figures.short_names(["ladder_x_k001", "ladder_x_k016"]) == ["k001", "k016"]
    assert study_figures.short_names(["alpha", "beta"]) == ["alpha", "beta"]
    assert study_figures.short_names(["level_1", "level_2"]) == ["level_1", "level_2"]


def test_glob_gives_a_level_each(tmp_path):
    for name in "ab":
        write_jsonl(tmp_path / f"{name}.jsonl", small_texts(5))
    assert study_recipe._expand(str(tmp_path / "*.jsonl")) == [
        os.path.join(tmp_path, "a.jsonl"),
        os.path.join(tmp_path, "b.jsonl"),
    ]


def test_a_study_that_is_told_to_stop_does_not_blame_its_job(tmp_path):
    """A job that gets the signal before it can save ends by it; that is no fault of the job."""
    command = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
    job = local_runner.Job("job", command, tmp_path / "log", lambda: False)

    def stop_when_up() -> None:
        while not (tmp_path / "log").exists() or "up" not in (tmp_path / "log").read_text():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop_when_up)
    thread.start()
    with pytest.raises(Unfinished, match="run the same command to continue"):
        local_runner.run_jobs([job], [local_runner.whole_machine()], {}, lambda *_: None)
    thread.join()


def test_repeated_documents_are_not_unique_tokens(tmp_path):
    """100 documents 20 times each are as many tokens as 2,000 documents, and a 20th of the text."""
    texts = small_texts(200)
    repeated = write_jsonl(tmp_path / "repeated.jsonl", texts[:10] * 20)
    distinct = write_jsonl(tmp_path / "distinct.jsonl", texts)
    amounts = [study_data.text_amount(str(path), ReadOptions()) for path in (repeated, distinct)]
    assert [amount["documents"] for amount in amounts] == [200, 200]
    assert [amount["distinct_documents"] for amount in amounts] == [10, 200]
    assert amounts[0]["bytes"] == 20 * amounts[0]["distinct_bytes"]
    records = [
        {"name": name, "tokens": 1000, "unique_tokens": unique}
        for name, unique in (("repeated", 50), ("distinct", 1000))
    ]
    recipe = {"real": "", "synthetic_weight": 1.0, "levels": records}
    configs = {"": {"steps": 1, "global_batch": 1, "seq_len": 1}}
    runs = [
        {"level": name, "size": "", "stage": "pretrain", "metrics": {"epochs/synthetic": 0.5}}
        for name in ("repeated", "distinct")
    ]
    equal, unequal = held_equal_of(recipe, configs, records, runs)
    assert len(equal) == 2
    assert unequal == [
        "unique tokens of the corpora (of distinct documents): 50 to 1,000",
        "epochs over their distinct text: 0.5 to 10",
    ]


def test_equal_text_is_equal_within_one_percent_and_distinct(tmp_path, capsys):
    texts = small_texts(400)
    sources = {
        "small": str(write_jsonl(tmp_path / "small.jsonl", texts[:120])),
        "large": str(write_jsonl(tmp_path / "large.jsonl", texts[100:400])),
        "repeated": str(write_jsonl(tmp_path / "repeated.jsonl", texts[:150] * 3)),
    }
    study_data.write_equal_corpora(sources, tmp_path / "equal", ReadOptions())
    amounts = [
        study_data.text_amount(str(tmp_path / "equal" / f"{name}.jsonl"), ReadOptions())
        for name in sources
    ]
    sizes = [amount["bytes"] for amount in amounts]
    assert sizes == [amount["distinct_bytes"] for amount in amounts]
    assert min(sizes) >= 0.99 * max(sizes)
    assert capsys.readouterr().out == ""
    few = [f"{letter} " * 9000 for letter in "abcd"]
    sources["long"] = str(write_jsonl(tmp_path / "long.jsonl", few))
    study_data.write_equal_corpora(sources, tmp_path / "other", ReadOptions())
    shown = capsys.readouterr().out
    assert "long is cut to" in shown
    assert "within 1%" in shown
