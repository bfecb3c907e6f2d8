import json
import pathlib
import shutil
import types

import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.diversity.comparison import comparison_of, read_comparison
from divsyn_jax.diversity.reporting import score_page
from divsyn_jax.diversity.score_file import finished_score, read_draws, read_score, write_score

DATA = pathlib.Path(__file__).parent / "data"
OLD = DATA / "score_of_0.1.0"  # written by score_corpus --agent=oracle of commit 0955ea8


@pytest.fixture
def folder(tmp_path):
    return pathlib.Path(shutil.copytree(OLD, tmp_path / "b"))


def _identity(score):
    return {key: score[key] for key in ("version", "corpus", "agent", "settings")}


def test_a_score_of_the_first_release_is_read_and_compared(folder):
    score = read_score(folder)
    assert score["effective_clusters"]["value"] == pytest.approx(4.7719, abs=1e-4)
    old = read_comparison(DATA / "comparison_of_0.1.0.json")
    assert list(old["corpora"]) == ["a", "b"]
    now = comparison_of([score])
    known = now["metrics"].keys() & old["metrics"].keys()
    assert known >= {name for name in old["metrics"] if not name.startswith("baselines.")}
    for metric in known:
        measured = now["metrics"][metric]
        assert measured["b"]["value"] == old["metrics"][metric]["b"]["value"]
    # The interval shown is that over documents and draws, and none where the file has none.
    for metric in ("effective_clusters", "cluster_score"):
        shown = now["metrics"][metric]["b"]
        assert shown["ci_low"] == score[metric]["generator_ci_low"] < score[metric]["ci_low"]
        assert shown["ci_high"] == score[metric]["generator_ci_high"] > score[metric]["ci_high"]
    assert "ci_low" not in now["metrics"]["exp_entropy"]["b"]
    assert "before it was offered" in now["metrics"]["exp_entropy"]["b"]["method"]
    assert finished_score(folder, _identity(score)) == score
    assert len(read_draws(folder)) == 8


def test_what_is_written_is_what_was_read(folder, tmp_path):
    score, draws = read_score(folder), read_draws(folder)
    write_score(tmp_path / "again", score, draws)
    for name in ("score.json", "draws.jsonl"):
        assert (tmp_path / "again" / name).read_text() == (OLD / name).read_text()


def _damage(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda score: score.pop("effective_clusters"), "effective_clusters is missing"),
        (lambda score: score["corpus"].pop("fingerprint"), "corpus.fingerprint is missing"),
        (lambda score: score["cluster_score"].update(value="4"), "cluster_score.value is '4'"),
        (lambda score: score.update(failures={}), "failures is {}"),
        (lambda score: score["curve"].append({}), "curve[0].cluster_score is missing"),
        (lambda score: score.pop("version"), "version is missing"),
    ],
)
def test_a_damaged_score_is_named_in_one_line(folder, change, place):
    _damage(folder / "score.json", change)
    with pytest.raises(UserError) as error:
        read_score(folder)
    message = str(error.value)
    assert message.startswith(f"{folder / 'score.json'}: damaged ({place}")
    assert "score_corpus" in message
    assert "\n" not in message


@pytest.mark.parametrize("content", ["[]", "3", '"score"'])
def test_what_is_no_object_is_damaged(folder, content):
    (folder / "score.json").write_text(content)
    with pytest.raises(UserError, match=r"score\.json: damaged"):
        read_score(folder)


@pytest.mark.parametrize("version", [4, 5])
def test_scores_of_earlier_versions_are_read(folder, version):
    _damage(folder / "score.json", lambda score: score.update(version=version))
    assert read_score(folder)["version"] == version


def test_a_score_of_another_version_is_made_anew_and_not_read(folder):
    identity = _identity(read_score(folder))
    _damage(folder / "score.json", lambda score: score.update(version=3))
    assert finished_score(folder, identity) is None
    with pytest.raises(
        UserError, match=r"score\.json: of version 3, not 6; score the corpus again"
    ):
        read_score(folder)


def test_a_finished_score_that_is_damaged_is_named(folder):
    identity = _identity(read_score(folder))
    _damage(folder / "score.json", lambda score: score.pop("duplicates"))
    with pytest.raises(UserError, match=r"score\.json: damaged \(duplicates is missing\)"):
        finished_score(folder, identity)


@pytest.mark.parametrize("key", ["fingerprint", "label_fingerprint"])
def test_a_score_of_other_content_is_not_finished(folder, key):
    identity = _identity(read_score(folder))
    identity["corpus"] = {**identity["corpus"], key: "0"}
    assert finished_score(folder, identity) is None


@pytest.mark.parametrize("line", ["{", "[]", '{"draw": 1, "documents": [1]}'])
def test_a_damaged_draw_is_named_with_its_line(folder, line):
    path = folder / "draws.jsonl"
    path.write_text(path.read_text().replace("\n", f"\n{line}\n", 1))
    with pytest.raises(UserError, match=r"draws\.jsonl:2: damaged \(.*score_corpus"):
        read_draws(folder)


def test_missing_draws_are_named(folder):
    (folder / "draws.jsonl").unlink()
    with pytest.raises(UserError, match=r"draws\.jsonl: no such file; .*score_corpus"):
        read_draws(folder)


def test_a_damaged_comparison_is_named(tmp_path):
    path = tmp_path / "comparison.json"
    shutil.copy(DATA / "comparison_of_0.1.0.json", path)
    _damage(path, lambda compared: compared["differences"][0].pop("first"))
    with pytest.raises(UserError, match=r"comparison\.json: damaged \(differences\[0\]\.first is"):
        read_comparison(path)


def test_the_page_says_who_judged(folder):
    score = read_score(folder)
    assert "Known labels grouped the documents" in score_page.render_scores(
        [score], comparison_of([score]), [types.SimpleNamespace(index_N=[])], [[]]
    )
