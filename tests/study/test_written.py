"""Levels that a language model writes: what is refused, and that they are written once and kept."""

import json
import pathlib

import pytest

from configs.studies import llm
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.readers.corpus import CorpusReader
from divsyn_jax.study import written
from divsyn_jax.study.local_runner import whole_machine
from divsyn_jax.study.recipe import Study, resolve
from divsyn_jax.study.stages import run_missing
from tests.endpoint.conftest import serve  # noqa: F401  a fixture
from tests.study import small_study


def recipe_of(**changes):
    config = llm.get_config()
    with config.unlocked():
        config.update(changes)
    return resolve(config.to_dict(), [], [], "", read=False)


def level(name="a", **changes):
    knobs = {"topics": 2, "styles": 1, "personas": 1, "temperature": 0.7, "seed": 0}
    return {"name": name, **knobs, **changes}


def test_the_committed_study_is_what_the_page_promises():
    recipe = recipe_of()
    assert len(recipe["levels"]) >= 4
    assert recipe["documents"] == 250
    assert len(recipe["seeds"]) == 3
    assert {each["temperature"] for each in recipe["levels"]} == {0.3, 0.7, 1.0}
    topics = {each["name"]: each["topics"] for each in recipe["levels"]}
    assert topics["few_topics"] * 10 < topics["many_topics"]


@pytest.mark.parametrize(
    ("changes", "fragment"),
    [
        ({"levels": [level(), level("b", temperature=3)]}, r"levels\[1\].temperature=3: give"),
        ({"levels": [level(), level("b", temperature=True)]}, "temperature=True"),
        ({"levels": [level(), level("b", topics=3)]}, "documents=250 cannot be shared out equally"),
        ({"levels": [level(), level("b", corpus="x.jsonl")]}, "leave corpus or temperature out"),
        ({"writer": {"url": "local"}}, "config.writer.url: unknown key"),
        ({"levels": [level(), {"name": "b", "temperature": 1.0}]}, "topics: missing"),
    ],
)
def test_what_cannot_be_written_is_refused(changes, fragment):
    with pytest.raises(UserError, match=fragment):
        recipe_of(**changes)


@pytest.mark.long
def test_levels_are_written_once_and_kept_beside_the_studies(serve, tmp_path):  # noqa: F811
    server = serve(brain="tests.synthesis.writer_brains", faults=0.2, slow_s=0.1)
    writer = {"base_url": server.base_url, "model": "w", "min_words": 40, "candidates": 8}
    writer["max_words"] = 500
    recipe = recipe_of(
        levels=[level("few"), level("hot", topics=4, temperature=1.0)],
        documents=4,
        writer=writer,
        vocab_size=small_study.MODEL["vocab_size"],
    )
    study = Study(recipe, tmp_path / "study")
    jobs = written.jobs(study.workdir, recipe)
    run_missing(study, jobs, [whole_machine()])
    calls = len(server.calls())
    for each in recipe["levels"]:
        documents = [read.fields for read in CorpusReader(study.source(each))]
        assert len(documents) == 4
        assert len({document["topic"] for document in documents}) == each["topics"]
    manifest = json.loads(pathlib.Path(study.source(each)).with_name("manifest.json").read_text())
    assert manifest["endpoints"][0]["temperature"] == 1.0
    # Another study of the same levels takes them as they are.
    other = Study(recipe_of(**{**recipe_keys(recipe), "seeds": (5,)}), tmp_path / "other")
    assert all(job.done() for job in written.jobs(other.workdir, other.recipe))
    assert other.source(recipe["levels"][0]) == study.source(recipe["levels"][0])
    changed = {**recipe, "levels": [level("few", temperature=0.8)]}
    assert not written.jobs(study.workdir, changed)[0].done()
    assert len(server.calls()) == calls


def recipe_keys(recipe):
    return {key: recipe[key] for key in ("levels", "documents", "writer", "vocab_size")}
