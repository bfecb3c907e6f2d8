"""A corpus written in parts, or by batch files, is the corpus of one live process."""

import contextlib
import json
import shutil

import pytest
import zstandard

from divsyn_jax.base.commandline import Unfinished, UserError
from divsyn_jax.base.parts import WorkPart, all_of
from divsyn_jax.synthesis.by_endpoint import parts
from divsyn_jax.synthesis.by_endpoint.gates import Gates
from divsyn_jax.synthesis.by_endpoint.grid import Grid
from divsyn_jax.synthesis.by_endpoint.writer import generate_documents
from divsyn_jax.synthesis.seeds import built_in_topics
from tests.endpoint import batch_answers
from tests.endpoint import conftest as endpoint_servers
from tests.synthesis.by_endpoint.test_generate_by_endpoint import BRAINS, data, grid, manifest_of


def generate(server, folder, asked, part=None, merge=(), **changes):
    settings = server.settings(price_input=1.0, price_output=2.0, **changes)
    folders = [*map(str, merge)]
    return generate_documents(asked, [settings], Gates(), 8, folder, part=part, merge=folders)


def write_parts(server, folder, asked, count):
    folders = [folder / str(part.index) for part in all_of(count)]
    for path, part in zip(folders, all_of(count), strict=True):
        generate(server, path, asked, part)
    return folders


def apart_from_usage(manifest):
    return {key: value for key, value in manifest.items() if key not in ("usage", "cost")}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """(server, folder of the corpus of one process, its grid, folders of its four parts)."""
    folder = tmp_path_factory.mktemp("written")
    with contextlib.contextmanager(endpoint_servers.serve.__wrapped__)(folder) as start:
        server = start(brain=f"{BRAINS}:careless", faults=0.3, slow_s=0.1)
        asked = grid(generations=3)
        generate(server, folder / "one", asked)
        yield server, folder / "one", asked, write_parts(server, folder / "parts", asked, 4)


def test_four_parts_make_the_corpus_of_one_process(written, tmp_path):
    server, one, asked, folders = written
    calls = len(server.calls())
    merged = generate(server, tmp_path / "merged", asked, merge=reversed(folders))
    assert data(tmp_path / "merged") == data(one)
    single = manifest_of(one)
    assert apart_from_usage(merged) == apart_from_usage(single)
    assert merged["rejects"]["near_duplicate"] > 0  # all of them from other parts or the same
    # What one process asked, and little more: candidates that only other parts make needless.
    assert len(server.calls()) - calls <= 3 * merged["rejects"]["near_duplicate"]
    mine = manifest_of(folders[0])
    assert mine["part"] == {"index": 1, "of": 4}
    spent = sum(manifest_of(folder)["cost"] for folder in folders)
    assert merged["cost"] >= spent > mine["cost"] > 0
    assert generate(server, tmp_path / "merged", asked, merge=folders) == merged  # it is finished


def test_a_merge_without_duplicates_asks_nothing(serve, tmp_path):
    server = serve(brain=f"{BRAINS}:fair")
    asked = grid(generations=1)
    folders = write_parts(server, tmp_path, asked, 4)
    calls = len(server.calls())
    generate(server, tmp_path / "merged", asked, merge=folders)
    assert len(server.calls()) == calls
    generate(server, tmp_path / "one", asked)
    assert data(tmp_path / "merged") == data(tmp_path / "one")


def test_parts_that_do_not_fit_are_named(written, tmp_path):
    server, _, asked, folders = written
    shutil.copytree(folders[0], tmp_path / "again")

    def refused(merge, said, this=asked):
        with pytest.raises(UserError, match=said) as error:
            generate(server, tmp_path / "merged", this, merge=merge)
        assert "\n" not in str(error.value)
        assert not (tmp_path / "merged").exists() or not [*(tmp_path / "merged").glob("*.zst")]

    refused(folders[:3], r"1 of 4 parts are missing \(4/4\)")
    refused([*folders, tmp_path / "again"], "are both part 1/4")
    refused([*folders[1:], tmp_path / "nothing"], "holds no finished part")
    refused(folders, "another setting of seed", grid(generations=3, seed=4))
    refused([written[1], *folders], "is no part of a corpus")
    lines = zstandard.decompress((tmp_path / "again" / parts.CANDIDATES).read_bytes())
    for spoilt, said in (
        (lines.splitlines(keepends=True)[0], "ends before the cell"),
        (lines + b'{"cell": "one more", "candidates": []}\n', "holds more cells"),
        (b"{" + lines, "not JSON"),
        (lines.replace(b'"candidate": 0', b'"candidate": 7', 1), "candidate 0 is none of this"),
        (lines.replace(b'{"cell": "', b'{"cell": "x', 1), "not the cell"),
    ):
        packed = zstandard.compress(spoilt)
        (tmp_path / "again" / parts.CANDIDATES).write_bytes(packed)
        refused([tmp_path / "again", *folders[1:]], said)
    (tmp_path / "again" / parts.CANDIDATES).write_bytes(packed[:-40])
    refused([tmp_path / "again", *folders[1:]], "ends before the cell|cannot be read")


@pytest.mark.parametrize("text", ["5/4", "1/0", "-1/4", "1", "a/b", "1/4/2", "", "1/99999999999"])
def test_a_part_that_is_none_is_refused(text):
    with pytest.raises(UserError, match="give i/n"):
        WorkPart.parse(text)


def test_tasks_of_an_array_may_be_counted_from_0_or_from_1():
    def share(text):
        return [place for place in range(10) if WorkPart.parse(text).holds(place)]

    assert share("0/4") == share("4/4")
    assert sorted(place for i in range(4) for place in share(f"{i}/4")) == [*range(10)]
    assert [WorkPart.parse(f"{i}/4").size(10) for i in range(1, 5)] == [3, 3, 2, 2]


def by_files(server, folder, asked, tmp_path, stages=12, **changes):
    """Generate by batch files, all answered by `server`; returns the manifest and the requests of
    every stage.
    """
    requests, results = tmp_path / "requests.jsonl", tmp_path / "results.jsonl"
    files, seen = {"batch_out": requests}, []
    for _ in range(stages):
        with contextlib.suppress(Unfinished):
            return generate(server, folder, asked, **files, **changes), seen
        seen.append(batch_answers.answer(server.base_url, requests, results))
        files["batch_in"] = (str(results),)
    raise AssertionError(f"unfinished after {stages} stages")


def test_a_corpus_by_batch_files_is_that_of_live_calls(written, tmp_path):
    server, one, asked, _ = written
    paid = sum(call["status"] == 200 for call in server.calls())
    by_file, stages = by_files(server, tmp_path / "a", asked, tmp_path)
    assert data(tmp_path / "a") == data(one)
    assert apart_from_usage(by_file) == apart_from_usage(manifest_of(one))
    # The probe goes along with the first documents, and every request stands there once.
    purposes = [request["custom_id"].split("-")[0] for request in stages[0]]
    assert sorted(set(purposes)) == ["canary", "document"]
    assert len(purposes) == 1 + asked.generations * len(asked)
    for requests in stages:
        assert len({request["custom_id"] for request in requests}) == len(requests)
        assert all(request["url"] == "/v1/chat/completions" for request in requests)
    assert sum(call["status"] == 200 for call in server.calls()) > paid


def test_duplicates_of_many_cells_are_replaced_in_few_stages(serve, tmp_path):
    server = serve(brain=f"{BRAINS}:alike")
    asked = grid(topics=built_in_topics(6), generations=1)  # 12 cells
    one = generate(server, tmp_path / "one", asked)
    _, stages = by_files(server, tmp_path / "files", asked, tmp_path)
    assert data(tmp_path / "files") == data(tmp_path / "one")
    # One at a time, each would take a stage of its own.
    assert sum(one["rejects"].values()) > 2 * len(stages)


@pytest.mark.slow
def test_two_thousand_documents_under_faults(serve, tmp_path):
    server = serve(brain=f"{BRAINS}:careless", faults=0.3, slow_s=0.05)
    asked = Grid(
        built_in_topics(25),
        ["blog post", "letter", "dialogue", "how-to"],
        ["a nurse", "a cook", "a judge", "a pilot"],
        ["test"],
        topics_per_document=1,
        personas_shown=2,
        generations=10,
        seed=3,
    )
    one = generate(server, tmp_path / "one", asked)
    assert one["documents"] == 2000
    generate(server, tmp_path / "merged", asked, merge=write_parts(server, tmp_path, asked, 4))
    assert data(tmp_path / "merged") == data(tmp_path / "one")
    by_files(server, tmp_path / "files", asked, tmp_path, stages=60)
    assert data(tmp_path / "files") == data(tmp_path / "one")
    assert json.dumps(apart_from_usage(manifest_of(tmp_path / "files"))) == json.dumps(
        apart_from_usage(one)
    )
