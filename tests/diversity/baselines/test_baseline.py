"""A baseline is one object, and a new one touches nothing else."""

import importlib
import json
import subprocess
import sys

import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.diversity import baselines, comparison
from divsyn_jax.diversity.baselines import (
    ALL,
    BASELINES,
    DEFAULT,
    Baseline,
    Settings,
    Value,
    baseline_names,
    compute,
    largest_shared_text,
    markdown_table,
    register,
)

from ..corpora import score_corpus, write_records

NEW = """
from divsyn_jax.diversity.baselines.baseline import Baseline, BaselineInputs, Value, register


def _characters(reading: BaselineInputs) -> Value:
    return Value(float(sum(map(len, reading.texts))), "no interval: a count")


register(
    Baseline(
        "characters", _characters, needs="texts", direction="none", meaning="characters in all",
        source="this test", depends_on="everything", default={default},
    )
)
"""


@pytest.fixture
def add(tmp_path, monkeypatch):
    """Add the file of a new baseline to the folder, as a plug-in of the package's path."""

    def put(default):
        folder = tmp_path / "more"
        folder.mkdir()
        (folder / "characters.py").write_text(NEW.format(default=default))
        monkeypatch.setattr(baselines, "__path__", [*baselines.__path__, str(folder)])
        monkeypatch.delitem(sys.modules, f"{baselines.__name__}.characters", raising=False)
        importlib.import_module(f"{baselines.__name__}.characters")

    yield put
    BASELINES.pop("characters", None)


def test_a_new_file_is_offered_computed_and_in_every_list(add, make_sample):
    add(default=False)
    sample = make_sample([{"text": "a b"}, {"text": "c"}])
    shared = largest_shared_text(sample.texts, 100)
    assert compute(sample, shared, Settings(("characters",)), None)["characters"]["value"] == 4
    by_default = compute(sample, shared, Settings(), None)["characters"]
    assert by_default["reason"] == "not asked for (--baselines)"
    assert "characters" in Settings((ALL,)).chosen
    assert "| `characters` | characters in all: a size, not a diversity | texts |" in (
        markdown_table()
    )


def test_a_new_default_baseline_leaves_finished_scores_valid(add):
    from divsyn_jax.diversity.scoring import ScoreSettings

    before = ScoreSettings(agent="oracle", label_field="topic")
    add(default=True)
    after = ScoreSettings(agent="oracle", label_field="topic")
    # What enters the identity of a score is the name of the set, not its members.
    assert before.baselines == after.baselines == (DEFAULT,)
    assert "characters" in after.baseline_settings().chosen
    finished = {"baselines": {"mtld": {"value": 70.0, "method": "no interval: one text"}}}
    found = comparison.measurement(finished, "baselines.characters")
    assert found["value"] is None
    assert "before the metric was offered" in found["reason"]


def test_a_finished_score_is_reused_when_a_default_baseline_was_added(tmp_path):
    """The same command twice, the second time with a new default baseline in the folder."""
    records = [{"text": f"a b c d {n % 7} e f", "topic": n % 4} for n in range(30)]
    path = write_records(tmp_path / "c.jsonl", records)
    output = tmp_path / "out"
    flags = [f"--output={output}", "--agent=oracle", "--label_field=topic", "--draws=50"]
    done = score_corpus(path, *flags)
    assert done.returncode == 0, done.stderr
    score = json.loads((output / "c" / "score.json").read_text())
    assert score["settings"]["baselines"] == [DEFAULT]
    again = subprocess.run(
        [sys.executable, "-c", NEW.format(default=True) + _RUN, str(path), *flags],
        capture_output=True,
        text=True,
    )
    assert again.returncode == 0, again.stderr
    assert "scored before with the same content and settings" in again.stdout
    assert "before the metric was offered" in (output / "report.html").read_text()


_RUN = """
from divsyn_jax.diversity import score_corpus
score_corpus.run()
"""


def test_a_value_has_an_interval_or_says_why_not():
    with pytest.raises(ValueError, match="reason"):
        Value(None)
    with pytest.raises(ValueError, match="interval"):
        Value(1.0)
    with pytest.raises(ValueError, match="interval"):
        Value(1.0, "jackknife over documents")
    with pytest.raises(ValueError, match="interval"):
        Value(1.0, "no interval: one text", 0.5, 1.5)
    with pytest.raises(ValueError, match="two ends"):
        Value(1.0, "jackknife over documents", 0.5)
    assert Value(1.0, "no interval: one text").to_json() == {
        "value": 1.0,
        "method": "no interval: one text",
    }


def test_names_are_taken_once_and_say_their_settings():
    with pytest.raises(ValueError, match="two baselines are named mtld"):
        register(BASELINES["mtld"])
    assert "dcscore_tau0.1" in baseline_names()
    with pytest.raises(ValueError, match="needs"):
        Baseline("x", lambda reading: Value(None, reason="x"), "images", "up", "x", "x", "x")
    with pytest.raises(UserError, match="--baselines=dcscore: unknown; choose default, all"):
        Settings(("dcscore",))


def test_what_is_said_of_a_baseline_is_complete():
    for name, baseline in BASELINES.items():
        assert baseline.name == name
        assert baseline.meaning
        assert not baseline.meaning.endswith(".")
        assert baseline.source
        assert baseline.depends_on
        assert f"baselines.{name}" in comparison.COMPARED
