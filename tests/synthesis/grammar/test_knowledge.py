import importlib.resources
import itertools
import pathlib
import shutil

import pytest

from divsyn_jax.synthesis.grammar import knowledge


@pytest.fixture
def folder(tmp_path):
    """A copy of two topic files that a test may break."""
    source = pathlib.Path(
        str(importlib.resources.files("divsyn_jax.synthesis.grammar") / "knowledge")
    )
    for path in sorted(source.glob("*.toml"))[:2]:
        shutil.copy(path, tmp_path)
    return tmp_path


def test_topics_are_loaded_in_file_order_and_complete():
    topics = knowledge.topics()
    assert len(topics) >= 32
    assert [topic.file for topic in topics] == sorted(topic.file for topic in topics)
    assert topics[0].name == "beekeeping"
    assert len({topic.name for topic in topics}) == len(topics)
    assert all(len(topic.facts) == 8 and len(topic.terms) == 10 for topic in topics)
    assert topics is knowledge.topics()


def test_neighbours_come_from_different_fields():
    fields = [topic.field for topic in knowledge.topics()]
    assert all(a != b for a, b in itertools.pairwise(fields))


# Each edit of the first file (text, replacement) and the field the error must name.
BREAKS = {
    "missing entry": ('  ["a smoker", "calms the bees before the hive is opened"],\n', "", "tools"),
    "empty string": ('"a smoker"', '""', r"tools\[\d\]"),
    "full stop": (
        "calms the bees before the hive is opened",
        "calms the bees before the hive is opened.",
        r"tools\[\d\]",
    ),
    "upper-case clause": ('"calms the bees', '"Calms the bees', r"tools\[\d\]"),
    "upper-case article": ('"a smoker"', '"A smoker"', r"tools\[\d\]"),
    "spare white space": ('"a smoker"', '"a  smoker"', r"tools\[\d\]"),
    "three parts": ('["a smoker", ', '["a smoker", "x", ', r"tools\[\d\]"),
    "place without preposition": ('places = ["in ', 'places = ["', r"places\[0\]"),
    "person without article": ('people = ["a ', 'people = ["', r"people\[0\]"),
    "unknown field": ('field = "', 'colour = "red"\nfield = "', "colour"),
    "missing field": ('name = "', '# name = "', "name"),
    "unknown kind": ('kind = "', 'kind = "un', r"facts\[0\]\.kind"),
    "no question mark": ('?"', '"', r"facts\[0\]\.question"),
    "lower-case statement": ('statement = "', 'statement = "x', r"facts\[0\]\.statement"),
    "broken TOML": ('name = "', "name = ", "not valid TOML"),
}


@pytest.mark.parametrize(("text", "replacement", "field"), BREAKS.values(), ids=BREAKS.keys())
def test_validation_names_file_and_field(folder, text, replacement, field):
    path = sorted(folder.iterdir())[0]
    source = path.read_text()
    assert text in source
    path.write_text(source.replace(text, replacement, 1))
    with pytest.raises(ValueError, match=rf"{path.name}: {field}"):
        knowledge.load_topics(folder)


def test_a_name_used_twice_is_refused(folder):
    first, second = sorted(folder.iterdir())
    shutil.copy(first, second)
    with pytest.raises(
        ValueError, match=rf"{second.name}: name: 'beekeeping' is already the topic of {first.name}"
    ):
        knowledge.load_topics(folder)


def test_unbroken_copies_load(folder):
    assert knowledge.load_topics(folder) == knowledge.topics()[:2]
