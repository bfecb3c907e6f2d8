"""A score whose answers came by batch files, or in parts, is the score of live calls."""

import contextlib
import json

import pytest

from tests.conftest import fails_with_one_line
from tests.endpoint import batch_answers
from tests.endpoint import conftest as endpoint_servers

from .corpora import write_labelled

_SCORER = "divsyn_jax.diversity.score_corpus"
_ASKED = (
    *("--agent=openai", "--model=judge", "--draws=8", "--retest=2", "--sample_size=5"),
    *("--criteria_sets=2", "--criteria_proposals=2", "--baselines=none", "--nocontrol_variate"),
)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A judge whose server fails three calls of ten."""
    with contextlib.contextmanager(endpoint_servers.serve.__wrapped__)(
        tmp_path_factory.mktemp("server")
    ) as start:
        yield start(
            brain="tests.diversity.agents.judge_brains:lumping",
            faults=0.3,
            kinds="429,500,truncated_json,wrong_keys,garbled,dropped",
        )


@pytest.fixture(scope="module")
def corpora(tmp_path_factory):
    """A narrow corpus and a broad one."""
    folder = tmp_path_factory.mktemp("corpora")
    counts = {"a": [2, 15, 15], "b": [4] * 8}
    return [str(write_labelled(folder / f"{name}.jsonl", of)) for name, of in counts.items()]


@pytest.fixture
def scorer(command, server, corpora):
    """`scorer(output, *flags)` scores the corpora."""

    def run(output, *flags):
        url = f"--base_url={server.base_url}"
        return command(_SCORER, *corpora, *_ASKED, url, f"--output={output}", *flags)

    return run


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    """Where the score of live calls stands, once it was made."""
    return tmp_path_factory.mktemp("live") / "scores"


def ensured(live, scorer):
    if not live.exists():
        done = scorer(live)
        assert done.returncode == 0, done.stderr
    return live


def assert_same_score(output, live):
    for name in ("a", "b"):
        one, other = (
            json.loads((each / name / "score.json").read_text()) for each in (output, live)
        )
        assert one.pop("usage") != {} != other.pop("usage")
        assert one == other
        lines = [(each / name / "draws.jsonl").read_bytes() for each in (output, live)]
        assert lines[0] == lines[1]
    for file in ("comparison.json", "criteria.json"):
        assert (output / file).read_bytes() == (live / file).read_bytes()


def test_a_score_by_batch_files_is_that_of_live_calls(scorer, server, live, tmp_path):
    requests, results = tmp_path / "requests.jsonl", tmp_path / "results.jsonl"
    flags, purposes, counted = [f"--batch_out={requests}"], [], 0
    for _ in range(30):
        done = scorer(tmp_path / "scores", *flags)
        if done.returncode == 0:
            break
        assert done.returncode == 75, done.stderr
        assert "requests to answer" in done.stderr.splitlines()[-1]
        asked = batch_answers.answer(server.base_url, requests, results)
        purposes.append({request["custom_id"].partition("-")[0] for request in asked})
        flags = [f"--batch_out={requests}", f"--batch_in={results}"]
    assert purposes[0] == {"canary", "criteria_propose"}
    assert {"cluster", "verify"} <= set.union(*purposes)
    assert_same_score(tmp_path / "scores", ensured(live, scorer))
    # What earlier runs took in is told as taken from the cache, and nothing was called live.
    for name in ("a", "b"):
        score = json.loads((tmp_path / "scores" / name / "score.json").read_text())
        counted += score["usage"]["cached_calls"]
    assert counted > 0


def test_a_score_in_parts_is_that_of_one_process(scorer, server, live, tmp_path):
    folders = [str(tmp_path / f"part{index}") for index in (1, 2)]
    for index, folder in enumerate(folders, 1):
        done = scorer(folder, f"--part={index}/2")
        assert done.returncode == 0, done.stderr
        assert f"part {index}/2, 8 draws asked" in done.stdout
    calls = len(server.calls())
    merge = f"--merge={','.join(reversed(folders))}"
    done = scorer(tmp_path / "scores", merge)
    assert done.returncode == 0, done.stderr
    assert len(server.calls()) == calls  # all of it was paid by the parts
    assert_same_score(tmp_path / "scores", ensured(live, scorer))

    none = tmp_path / "none"
    fails_with_one_line(scorer(none, f"--merge={folders[0]}"), "1 of 2 parts", "(2/2)")
    twice = f"--merge={folders[0]},{folders[0]}"
    fails_with_one_line(scorer(none, twice), "are both part 1/2")
    fails_with_one_line(scorer(none, merge, "--seed=1"), "with other settings (endpoint)")
    fails_with_one_line(scorer(none, merge, "--max_documents=20"), "judged other corpora")
    fails_with_one_line(scorer(none, "--part=3/2"), "give i/n")
    fails_with_one_line(scorer(none, merge, "--part=1/2"), "give one")
    fails_with_one_line(
        scorer(none, "--part=1/2", "--target_half_width=0.5"), "--target_half_width"
    )
    assert len(server.calls()) == calls
