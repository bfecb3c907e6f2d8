"""A score whose answers came by batch files, or in parts, is the score of live calls.

The commands themselves are run in the tests marked slow."""

import contextlib
import json
import pathlib
import shutil

import pytest

from divsyn_jax.base.commandline import Unfinished, UserError
from divsyn_jax.base.parts import all_of
from divsyn_jax.data.readers.corpus import ReadOptions
from divsyn_jax.diversity import baselines, rounds, scoring
from divsyn_jax.diversity.agents import parts
from divsyn_jax.diversity.agents.judge_settings import JudgeSettings
from divsyn_jax.diversity.sampling import read_sample
from divsyn_jax.diversity.settings import ScoreSettings
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


@pytest.fixture(scope="module")
def samples(corpora):
    """The corpora as they are read."""
    options = ReadOptions()
    return {
        path[-7]: read_sample(path, options, documents=5000, label_field=None, seed=0)
        for path in corpora
    }


def settings_of(server, output, judge=None, **endpoint):
    judge = {"criteria_sets": 2, "criteria_proposals": 2, **(judge or {})}
    return ScoreSettings(
        agent="openai",
        endpoint=server.settings(price_input=1.0, price_output=1.0, **endpoint),
        judge=JudgeSettings(**judge),
        answers=output / "cache.sqlite",
        sample_size=5,
        draws=8,
        retest=2,
        baselines=("none",),
        control_variate=False,
    )


@contextlib.contextmanager
def judging(samples, settings):
    """(agent, text shared, identities)."""
    settings.answers.parent.mkdir(exist_ok=True)
    shared = baselines.common_shared_text(
        [scoring.corpus_shared_text(sample, settings) for sample in samples.values()], True
    )
    with contextlib.closing(scoring.make_agent(settings, samples)) as agent:
        yield (
            agent,
            shared,
            {
                name: scoring.identity(name, sample, agent, shared, settings)
                for name, sample in samples.items()
            },
        )


def score(samples, settings):
    """By corpus the content of score.json but for what was spent, and the draws."""
    with judging(samples, settings) as (agent, shared, _):
        made = scoring.score_corpora(samples, agent, shared, settings)
    usage = [found.pop("usage") for found, _ in made.values()]
    return json.loads(json.dumps(made)), usage[0]


@pytest.fixture(scope="module")
def scored(server, samples, tmp_path_factory):
    """The score of live calls."""
    return score(samples, settings_of(server, tmp_path_factory.mktemp("one")))


def test_a_score_by_batch_files_is_that_of_live_calls(server, samples, scored, tmp_path):
    requests, results = tmp_path / "requests.jsonl", tmp_path / "results.jsonl"
    files, purposes, once = {"batch_out": requests}, [], set()
    cost, calls = 0.0, len(server.calls())
    for _ in range(30):
        with contextlib.suppress(Unfinished):
            by_file, usage = score(samples, settings_of(server, tmp_path / "a", **files))
            break
        asked = batch_answers.answer(server.base_url, requests, results)
        names = [request["custom_id"] for request in asked]
        assert len(set(names)) == len(names)
        once |= set(names)
        purposes.append({name.partition("-")[0] for name in names})
        files = {"batch_out": requests, "batch_in": (str(results),)}
    assert by_file == scored[0]
    assert purposes[0] == {"canary", "criteria_propose"}
    assert {"cluster", "verify"} <= set.union(*purposes)
    billed = [call for call in server.calls()[calls:] if call["status"] == 200]
    assert len(once) <= len(billed)  # each was answered, and nothing was asked beside the files
    cost += usage["cost_with_cached"]
    assert cost > 0


def test_a_score_in_parts_is_that_of_one_process(server, samples, scored, tmp_path):
    folders = [str(tmp_path / f"part{index}") for index in (1, 2, 3)]
    for folder, part in zip(folders, all_of(3), strict=True):
        path = pathlib.Path(folder)
        mine = parts.settings_of_part(settings_of(server, path), part)
        with judging(samples, mine) as (agent, shared, same):
            asked, failed = rounds.ask_part_of_rounds({}, samples, agent, shared, mine, part)
            assert (asked, failed) == (2 * part.size(8), 0)
            parts.save_part(path, part, same, mine)
    calls, output = len(server.calls()), tmp_path / "scores"
    settings = settings_of(server, output)
    output.mkdir()
    records = parts.merge_parts(folders[::-1], settings, settings.answers)
    with judging(samples, settings) as (_, _, same):
        parts.check_identities(records, same, folders)
    merged, usage = score(samples, settings)
    assert merged == scored[0]
    assert len(server.calls()) == calls  # the parts had paid for all of it
    assert usage["calls"] == 0 < usage["cached_calls"]

    def refused(said, given, of=settings):
        with pytest.raises(UserError, match=said):
            parts.merge_parts(given, of, settings.answers)

    refused(r"1 of 3 parts are missing \(3/3\)", folders[:2])
    refused("are both part 1/3", [*folders, folders[0]])
    refused("holds no finished part", [*folders, str(tmp_path / "none")])
    refused("is the --output, too", [str(_finished(folders[0], output)), *folders[1:]])
    refused(r"other settings \(judge\)", folders, settings_of(server, output, {"criteria_sets": 3}))
    refused(r"other settings \(endpoint\)", folders, settings_of(server, output, model="other"))
    record = json.loads((tmp_path / "part2" / "part.json").read_text())
    record["identities"]["a"]["agent"]["settings"]["criteria"] = "others"
    (tmp_path / "part2" / "part.json").write_text(json.dumps(record))
    refused("by other criteria; make the criteria once", folders)
    with pytest.raises(UserError, match="judged other corpora"):
        parts.check_identities(records, {"a": same["a"]}, folders)


def _finished(folder, output):
    shutil.copy(pathlib.Path(folder, "part.json"), output)
    return output


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


@pytest.mark.slow
def test_the_command_by_batch_files_scores_as_live_calls_do(scorer, server, live, tmp_path):
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


@pytest.mark.slow
def test_the_command_in_parts_scores_as_one_process_does(scorer, server, live, tmp_path):
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
    fails_with_one_line(scorer(none, merge, "--max_documents=20"), "with other settings (draws)")
    fails_with_one_line(scorer(none, "--part=3/2"), "give i/n")
    fails_with_one_line(scorer(none, merge, "--part=1/2"), "give one")
    fails_with_one_line(
        scorer(none, "--part=1/2", "--target_half_width=0.5"), "--target_half_width"
    )
    assert len(server.calls()) == calls
