"""We delete and overwrite only what we wrote."""

import contextlib
import json
import os
import pathlib
import stat

import pytest

from divsyn_jax.base import files, owned_folders
from divsyn_jax.base.commandline import UserError
from divsyn_jax.evaluation.request_cache import RequestCache
from divsyn_jax.synthesis.by_endpoint import run as endpoint_run
from divsyn_jax.synthesis.corpus_writer import generate_corpus
from divsyn_jax.synthesis.grammar.grammar import Breadth
from divsyn_jax.synthesis.record_file import RecordWriter, recover
from tests.conftest import fails_with_one_line, write_jsonl


@pytest.fixture
def victim(tmp_path):
    """A folder that nobody named, and a check that nothing in it changed."""
    folder = tmp_path / "victim"
    (folder / "sub").mkdir(parents=True)
    (folder / "data.txt").write_text("precious")
    yield folder
    assert sorted(path.name for path in folder.iterdir()) == ["data.txt", "sub"]
    assert (folder / "data.txt").read_text() == "precious"


def test_a_planted_link_is_not_emptied(tmp_path, victim):
    shared = tmp_path / "shared"
    shared.mkdir()
    (shared / ".gen.partial").symlink_to("../victim")
    with pytest.raises(UserError, match=r"\.gen\.partial: is not a folder"):
        generate_corpus(Breadth(3, 2, 2), 20, 0, shared / "gen")
    assert not (shared / "gen").exists()


def test_a_folder_without_our_mark_is_not_emptied(tmp_path):
    (tmp_path / ".gen.partial").mkdir()
    (tmp_path / ".gen.partial" / "theirs.txt").write_text("precious")
    with pytest.raises(UserError, match="theirs.txt"):
        generate_corpus(Breadth(3, 2, 2), 20, 0, tmp_path / "gen")
    assert (tmp_path / ".gen.partial" / "theirs.txt").read_text() == "precious"


def test_a_forged_mark_does_not_remove_what_we_did_not_write(tmp_path, victim):
    partial = tmp_path / ".gen.partial"
    partial.mkdir()
    files.write_json(partial / ".settings.json", {"old": 1})
    (partial / "thesis.txt").write_text("precious")
    (partial / "documents.jsonl.zst").symlink_to(victim / "data.txt")
    with pytest.raises(UserError, match="thesis.txt"):
        generate_corpus(Breadth(3, 2, 2), 20, 0, tmp_path / "gen")
    (partial / "thesis.txt").unlink()
    generate_corpus(Breadth(3, 2, 2), 20, 0, tmp_path / "gen")
    assert not (tmp_path / "gen" / "documents.jsonl.zst").is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_another_users_folder_is_not_taken_up(tmp_path):
    partial = tmp_path / ".gen.partial"
    partial.mkdir()
    files.write_json(partial / ".settings.json", {})
    os.chown(partial, 12345, 12345)
    with pytest.raises(UserError, match="uid 12345"), files.resumed_directory(tmp_path / "gen", {}):
        pass


@pytest.mark.parametrize("linked", [".lock", ".settings.json", "documents.jsonl.zst"])
def test_links_inside_a_partial_folder_are_not_followed(tmp_path, victim, linked):
    settings = {"a": 1}
    partial = tmp_path / ".gen.partial"
    partial.mkdir()
    if linked != ".settings.json":
        files.write_json(partial / ".settings.json", settings)
    (partial / linked).symlink_to(victim / "data.txt")
    with (
        pytest.raises(UserError),
        files.resumed_directory(tmp_path / "gen", settings, ["documents.jsonl.zst"]) as folder,
    ):
        list(recover(folder / "documents.jsonl.zst"))


def test_a_killed_folder_is_taken_up_and_other_settings_start_anew(tmp_path):
    for settings, expected in (({"a": 1}, []), ({"a": 1}, ["x.txt"]), ({"a": 2}, [])):
        with (
            contextlib.suppress(KeyboardInterrupt),
            files.resumed_directory(tmp_path / "gen", settings, ["x.txt"]) as folder,
        ):
            assert sorted(path.name for path in folder.glob("[!.]*")) == expected
            (folder / "x.txt").write_text("half")
            raise KeyboardInterrupt
    with files.resumed_directory(tmp_path / "gen", {"a": 2}, ["x.txt"]) as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert os.listdir(tmp_path / "gen") == ["x.txt"]
    assert os.listdir(tmp_path) == ["gen"]
    plain = tmp_path / "plain"
    plain.mkdir()
    assert (tmp_path / "gen").stat().st_mode == plain.stat().st_mode


def test_new_directory_replaces_what_the_command_wrote_and_nothing_else(tmp_path):
    for content in ("one", "two"):
        with files.new_directory(tmp_path / "out", ["*.json"]) as folder:
            (folder / "a.json").write_text(content)
    assert (tmp_path / "out" / "a.json").read_text() == "two"
    (tmp_path / "out" / "thesis.txt").write_text("precious")
    with (
        pytest.raises(UserError, match="'thesis.txt', which this command did not write"),
        files.new_directory(tmp_path / "out", ["*.json"]),
    ):
        pass
    with pytest.raises(UserError, match="a.json"), files.new_directory(tmp_path / "out"):
        pass
    assert (tmp_path / "out" / "thesis.txt").read_text() == "precious"
    assert os.listdir(tmp_path) == ["out"]


def test_what_comes_into_the_folder_meanwhile_is_kept(tmp_path):
    (tmp_path / "out").mkdir()

    def write():
        with files.new_directory(tmp_path / "out", ["a.json"]) as folder:
            (folder / "a.json").write_text("new")
            (tmp_path / "out" / "thesis.txt").write_text("precious")

    with pytest.raises(UserError, match="thesis.txt"):
        write()
    assert (tmp_path / "out" / "thesis.txt").read_text() == "precious"


def test_a_score_is_not_replaced_beside_a_strangers_file(tmp_path, command):
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "score.json").write_text("{}")
    (tmp_path / "plain" / "thesis.txt").write_text("precious")
    corpus = write_jsonl(tmp_path / "plain.jsonl", ["a text"] * 20)
    result = command("divsyn_jax.diversity.score_corpus", corpus, f"--output={tmp_path}")
    fails_with_one_line(result, "thesis.txt")
    assert (tmp_path / "plain" / "thesis.txt").read_text() == "precious"


def test_a_link_is_no_output_folder(tmp_path, victim):
    (tmp_path / "scores").symlink_to(victim)
    with (
        pytest.raises(UserError, match=f"is a link; name the folder that it leads to, {victim}"),
        files.kept_directory(tmp_path / "scores"),
    ):
        pass


def test_a_planted_temporary_file_is_not_written_through(tmp_path, victim):
    """The names of 0.1.0 were `.NAME.PID.tmp`."""
    (tmp_path / f".report.html.{os.getpid()}.tmp").symlink_to(victim / "data.txt")
    files.write_text(tmp_path / "report.html", "ours")
    assert (tmp_path / "report.html").read_text() == "ours"
    assert not (tmp_path / "report.html").is_symlink()


def test_the_chosen_temporary_name_is_made_exclusively(tmp_path, victim, monkeypatch):
    monkeypatch.setattr(owned_folders.secrets, "token_hex", lambda size: "known")
    (tmp_path / ".report.html.known.tmp").symlink_to(victim / "data.txt")
    with pytest.raises(FileExistsError):
        files.write_text(tmp_path / "report.html", "ours")


def test_a_link_in_place_of_the_file_is_replaced_itself(tmp_path, victim):
    (tmp_path / "report.html").symlink_to(victim / "data.txt")
    files.write_text(tmp_path / "report.html", "ours")
    assert not (tmp_path / "report.html").is_symlink()


def test_nothing_is_appended_through_a_link(tmp_path, victim):
    for name in ("answers.jsonl", "records.zst", ".docs.partial"):
        (tmp_path / name).symlink_to(victim / "data.txt")
    with pytest.raises(UserError, match="is a link"):
        RequestCache(tmp_path / "answers.jsonl")
    with pytest.raises(UserError, match="is a link"):
        RecordWriter(tmp_path / "records.zst")
    with pytest.raises(UserError, match="is a link"), endpoint_run.new_records(tmp_path, "docs"):
        pass


def test_no_pipe_is_written_to(tmp_path):
    os.mkfifo(tmp_path / "answers.jsonl")
    with pytest.raises(UserError, match="not a file"):
        owned_folders.open_kept(tmp_path / "answers.jsonl", "ab")


def test_half_a_surrogate_pair_leaves_no_file(tmp_path):
    with pytest.raises(UserError, match="half a surrogate pair"):
        files.write_json(tmp_path / "a.json", {"name": "\ud800"})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "text", ["[" * 200_000, "{", "NaN", '"\udcff"', "1" * 5000, "", "\xff", "\x00"]
)
def test_a_file_that_is_no_json_is_one_line(tmp_path, text):
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UserError, match="a.json: not valid JSON") as raised:
        files.read_json(path)
    assert len(str(raised.value).splitlines()) == 1
    (tmp_path / "a.jsonl").write_bytes(b'{"fine": 1}\n' + path.read_bytes() + b"\n")
    if text:
        with pytest.raises(UserError, match="a.jsonl:2: not valid JSON"):
            files.read_jsonl(tmp_path / "a.jsonl")


def test_a_line_of_a_file_of_lines_ends_at_a_line_feed_alone(tmp_path):
    values = [{"text": "a\u2028b\u2029c\x85d"}, {"text": "e"}]
    lines = [json.dumps(value, ensure_ascii=False) for value in values]
    (tmp_path / "a.jsonl").write_bytes("".join(f"{line}\n" for line in lines).encode())
    assert files.read_jsonl(tmp_path / "a.jsonl") == values
    (tmp_path / "a.jsonl").write_bytes(b"\n".join(line.encode() for line in lines))
    assert files.read_jsonl(tmp_path / "a.jsonl") == values
    (tmp_path / "a.jsonl").write_bytes(b"")
    assert files.read_jsonl(tmp_path / "a.jsonl") == []


def test_a_damaged_answer_of_an_evaluation_is_one_line(tmp_path):
    path = pathlib.Path(tmp_path / "answers.jsonl")
    for line in ("[]", "{}", "[" * 100_000, json.dumps({"request": []})):
        path.write_text(line + "\n")
        with pytest.raises(UserError, match="answers.jsonl:1"):
            RequestCache(path)
