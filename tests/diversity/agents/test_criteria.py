"""Criteria files, written by hand or by a run."""

import asyncio
import json

import pytest

from divsyn_jax.base.commandline import Failure, UserError
from divsyn_jax.diversity.agents import criteria
from divsyn_jax.endpoint.client import Answer, ContentFailure
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


class FumblingClient:
    """Merges only lists that a predicate on (number of names, entries asked for, set) allows."""

    def __init__(self, merges):
        self.merges, self.asked, self.usage = merges, [], self

    def spent(self):
        return ""

    async def complete(self, request):
        self.asked.append(request)
        entry = {"name": f"Name {len(self.asked)}", "definition": "what it is"}
        if request.purpose == "criteria_propose":
            rows = [{**entry, "name": f"{entry['name']} {letter}"} for letter in "abcd"]
            return Answer({"metadata": rows, "metrics": rows}, False, None, "json_schema")
        if request.purpose.startswith("criteria_merge"):
            wanted = next(n for n in range(1, 9) if not request.check({"entries": [entry] * n}))
            names = request.user.count("(proposed ")
            if not self.merges(names, wanted, request.identity["criteria_set"]):
                raise ContentFailure("invalid", [f"Give exactly {wanted} entries."])
            return Answer({"entries": [entry] * wanted}, False, None, "json_schema")
        kinds = request.schema["properties"]
        for count in range(1, 9):
            value = {kind: ["a sentence"] * count for kind in kinds}
            if not request.check(value):
                return Answer(value, False, None, "json_schema")
        raise AssertionError(request.purpose)


def _made(client, sample):
    asked = criteria.make_sets(
        client, [sample], sets=2, documents=3, proposals=30, characters=100, seed=0
    )
    return asyncio.run(asked)


def test_criteria_that_cannot_be_merged_are_tried_with_fewer_entries_and_names(make_sample):
    sample = make_sample([{"text": f"text {n}"} for n in range(20)])
    made = _made(FumblingClient(lambda names, wanted, number: names <= 20), sample)
    assert [len(each.metadata) for each in made] == [3, 3]


def test_a_set_that_cannot_be_merged_is_left_out_and_named(make_sample, capsys):
    sample = make_sample([{"text": f"text {n}"} for n in range(20)])
    client = FumblingClient(lambda names, wanted, number: number == 1)
    made = _made(client, sample)
    assert [len(each.metadata) for each in made] == [4]
    said = capsys.readouterr().err
    assert "criteria set 1: metadata could not be merged" in said
    assert "left out, 1 of 2 stay" in said


def test_no_set_at_all_ends_the_run_with_a_way_out(make_sample):
    sample = make_sample([{"text": f"text {n}"} for n in range(20)])
    with pytest.raises(Failure, match="could not be merged.*--criteria=FILE"):
        _made(FumblingClient(lambda *about: False), sample)
