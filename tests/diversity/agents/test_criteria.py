"""Criteria files, written by hand or by a run."""

import json

import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.diversity.agents import criteria
from tests.conftest import ROOT

ENTRY = {"name": "Subject", "sentence": "What is it about?"}


def _written(folder, content):
    path = folder / "criteria.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "criteria.json: not valid JSON"),
        ([1], 'criteria.json: expected {"sets"'),
        ({"sets": {}}, 'expected {"sets"'),
        ({"sets": ["x"]}, "sets[0] is not an object"),
        ({"sets": [{}]}, "sets[0] holds no criteria"),
        ({"sets": [{"metadata": "x"}]}, "sets[0].metadata is not a list"),
        (
            {"sets": [{"metadata": [ENTRY]}, {"metrics": [{"name": 1, "sentence": "x"}]}]},
            "sets[1].metrics[0] needs a name",
        ),
        (
            {"sets": [{"metadata": [{**ENTRY, "definition": 7}]}]},
            "sets[0].metadata[0].definition is not text",
        ),
        (
            {"sets": [{"metadata": [ENTRY], "metricz": [ENTRY]}]},
            "sets[0] has an unknown key 'metricz'",
        ),
        (
            {"sets": [{"metadata": [{**ENTRY, "weight": 2}]}]},
            "sets[0].metadata[0] has an unknown key 'weight'",
        ),
    ],
)
def test_a_bad_file_is_named_with_the_place(tmp_path, content, message):
    with pytest.raises(UserError) as error:
        criteria.load_criteria(_written(tmp_path, content))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_saved_file_is_read_as_it_was_and_the_handwritten_one_too(tmp_path):
    sets = criteria.load_criteria(ROOT / "tools" / "benchmarks" / "handwritten_criteria.json")
    criteria.save_criteria(tmp_path / "again.json", sets, {"by": "hand"})
    assert criteria.load_criteria(tmp_path / "again.json") == sets
    assert len(sets[0].metadata) + len(sets[0].metrics) == 5
