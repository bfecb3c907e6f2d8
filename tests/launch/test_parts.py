"""launch/parts.py: the scripts of a corpus in parts, and what cannot be split."""

import json
import os
import shlex
import subprocess
import sys

from tests.conftest import ROOT, fails_with_one_line

COMMAND = (
    "generate_corpus",
    "--config=configs/synthesis.py",
    "--model=it's",
    "--base_url=http://h/v1",
)


def launch(*arguments, **options):
    line = [sys.executable, "launch/parts.py", *map(str, arguments)]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=120, **options)


def executable(folder, name, text):
    path = folder / name
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


def test_an_array_of_parts_and_a_merge_after_it(tmp_path):
    output, tools = tmp_path / "a corpus", tmp_path / "bin"
    tools.mkdir()
    executable(tools, "sbatch", f'echo "$@" >> {tools}/sent; echo "1$(wc -l < {tools}/sent);c"')
    executable(tools, "srun", f'printf "%s\\n" "${{@:4}}" > {tools}/ran; exit $CODE')
    executable(tools, "scontrol", f'echo "$@" > {tools}/requeued')
    executable(tools, "sleep", "")
    environment = {**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"}
    asked = ("--parts=3", "--at_once=2", "--sbatch=--time=1:00:00", "--", *COMMAND)
    done = launch(*asked, f"--output={output}", env=environment)
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "a corpus.parts"
    sent = (tools / "sent").read_text().splitlines()
    assert sent == [
        f"--parsable {folder}/launch/parts.sh",
        f"--parsable --dependency=afterok:11 --kill-on-invalid-dep=yes {folder}/launch/merge.sh",
    ]
    scripts = {name: folder / "launch" / f"{name}.sh" for name in ("parts", "merge")}
    assert "#SBATCH --array=1-3%2\n" in scripts["parts"].read_text()
    assert "#SBATCH --time=1:00:00\n" in scripts["merge"].read_text()

    def ran(name, code):
        (tools / "requeued").unlink(missing_ok=True)
        slurm = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2", "SLURM_JOB_ID": "9"}
        done = subprocess.run(
            ["bash", str(scripts[name])], env={**environment, **slurm, "CODE": str(code)}
        )
        assert done.returncode == code
        return (tools / "ran").read_text().splitlines()

    module = [sys.executable, "-m", "divsyn_jax.synthesis.generate_corpus", *COMMAND[1:]]
    assert ran("parts", 0) == [*module, "--part=2/3", f"--output={folder}/2"]
    assert not (tools / "requeued").exists()
    ran("parts", 75)
    assert (tools / "requeued").read_text() == "requeue 7_2\n"
    ran("parts", 1)
    assert not (tools / "requeued").exists()
    merge = ",".join(f"{folder}/{index}" for index in (1, 2, 3))
    assert ran("merge", 0) == [*module, f"--merge={merge}", f"--output={output}"]


def test_a_dry_run_prints_what_would_be_sent(tmp_path):
    done = launch("--parts=2", "--dry_run", "--", *COMMAND, f"--output={tmp_path}/c")
    assert done.returncode == 0, done.stderr
    assert "--array=1-2\n" in done.stdout
    assert shlex.quote(f"--merge={tmp_path}/c.parts/1,{tmp_path}/c.parts/2") in done.stdout
    assert not [*tmp_path.iterdir()]


def test_a_corpus_called_output_is_one(tmp_path):
    words = ["score_corpus", "output=a b.jsonl", "b.jsonl", "--criteria=c.json"]
    done = launch("--parts=2", "--dry_run", "--", *words, f"--output={tmp_path}/c")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(" 'output=a b.jsonl' b.jsonl --criteria=c.json") == 2


def test_what_cannot_be_split_is_named(tmp_path):
    output = f"--output={tmp_path}/c"
    cases = (
        ((), "no command"),
        (("train", output), "'train'"),
        (COMMAND, "--output=FOLDER is required"),
        ((*COMMAND, output, "--part=1/2"), "--part: leave it out"),
        ((*COMMAND, output, "--max_cost=3"), "begins to count anew"),
        (("score_corpus", "a.jsonl", output), "needs --criteria=FILE"),
    )
    # The flags of launch/parts.py are for a process of its own.
    code = (
        "import json, sys; from launch.parts import split_command\n"
        "for words in json.load(sys.stdin):\n"
        "  try: split_command(words)\n"
        "  except Exception as error: print(type(error).__name__, error)"
    )
    words = json.dumps([words for words, _ in cases])
    line = [sys.executable, "-c", code]
    said = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, input=words).stdout
    for line, (_, expected) in zip(said.splitlines(), cases, strict=True):
        assert line.startswith("UserError ")
        assert expected in line
    fails_with_one_line(launch("--parts=2", "--", *COMMAND), "--output=FOLDER is required")
