"""Scoring from Python: what it takes, what it gives, and errors in Python's words."""

import decimal
import inspect
import json
import re
import subprocess
import sys

import pytest

import divsyn_jax.diversity as package
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.html import Html
from divsyn_jax.diversity import compare, score
from divsyn_jax.diversity.api.keywords import KEYWORDS, in_python

FAST = {"agent": "oracle", "label_field": "topic", "draws": 100, "baselines": "none"}
BROAD = [
    {"text": f"document {n}", "topic": n % 10, "meta": {"body": f"body {n}"}} for n in range(60)
]
NARROW = [{"text": f"other {n}", "topic": n % 2} for n in range(60)]


def test_every_holder_of_records_gives_the_same_score(tmp_path):
    pandas = pytest.importorskip("pandas")
    pyarrow = pytest.importorskip("pyarrow")
    datasets = pytest.importorskip("datasets")
    path = tmp_path / "c.jsonl"
    path.write_text("\n".join(map(json.dumps, BROAD)))
    expected = score(path, **FAST)
    assert expected["effective_clusters"]["value"] == expected.effective_clusters.value
    held = [
        *(str(path), f"named={path}", BROAD, tuple(BROAD), iter(BROAD), (row for row in BROAD)),
        *(pandas.DataFrame(BROAD), pyarrow.Table.from_pylist(BROAD)),
        datasets.Dataset.from_list(BROAD),
    ]  # fmt: skip
    for corpus in held:
        found = score(corpus, **FAST)
        assert found["corpus"]["fingerprint"] == expected["corpus"]["fingerprint"], type(corpus)
        assert found.effective_clusters == expected.effective_clusters


def test_columns_of_texts_are_corpora_and_none_is_empty():
    from divsyn_jax.data.readers.given_records import GivenRecords
    from divsyn_jax.data.readers.options import ReadOptions

    pandas = pytest.importorskip("pandas")
    pyarrow = pytest.importorskip("pyarrow")
    for column in (
        *(["a", None, "b"], pandas.Series(["a", None, "b"]), pyarrow.array(["a", None, "b"])),
        pandas.Series(["a", float("nan"), "b"], dtype=object),
        pyarrow.chunked_array([["a", None], ["b"]]),
    ):  # fmt: skip
        reader = GivenRecords(column, "corpus", ReadOptions())
        assert [document.text for document in reader] == ["a", "b"]
        assert (reader.empty, reader.malformed) == (1, 0)


def test_rows_that_arrow_cannot_give_are_counted_and_batches_are_tables():
    """They ended in the exceptions of pyarrow."""
    from divsyn_jax.data.readers.given_records import GivenRecords
    from divsyn_jax.data.readers.options import ReadOptions

    pyarrow = pytest.importorskip("pyarrow")
    batch = pyarrow.record_batch({"text": ["a", "b"]})
    assert [document.text for document in GivenRecords(batch, "it", ReadOptions())] == ["a", "b"]
    far = pyarrow.array([2**62], pyarrow.int64()).cast(pyarrow.timestamp("s"))
    broken = pyarrow.array([b"\xff"]).view(pyarrow.string())
    for held in (pyarrow.table({"text": ["a"], "made": far}), far, broken):
        reader = GivenRecords(held, "it", ReadOptions())
        with pytest.raises(UserError, match=r"it\[0\]: cannot be decoded \(\w+"):
            list(reader)


def test_what_has_no_order_or_one_name_for_two_columns_is_refused():
    pandas = pytest.importorskip("pandas")
    numpy = pytest.importorskip("numpy")
    for held, problem in (
        ({"a", "b"}, "a set has no order"),
        (frozenset("ab"), "a set has no order"),
        (numpy.array("a"), "texts or records are expected"),
        (pandas.DataFrame([["a", "b"]], columns=["text", "text"]), "two columns are named 'text'"),
    ):
        with pytest.raises(UserError, match=problem):
            score(held, **FAST)
    rows = [{**row, "price": decimal.Decimal("sNaN")} for row in BROAD]
    assert score(rows, **FAST)["corpus"]["documents"] == len(BROAD)


def test_what_is_given_back():
    found = score(BROAD, **FAST)
    clusters = found.effective_clusters
    assert clusters.low <= clusters.value <= clusters.high
    assert float(clusters) == clusters.value
    assert found.documents == 60
    assert "vendi_score" in dir(found)
    assert found.vendi_score.value is None
    with pytest.raises(AttributeError, match="has no 'clusters'"):
        _ = found.clusters
    copied = found.to_dict()
    copied["corpus"]["name"] = "other"
    assert found.name == "corpus"
    assert json.loads(json.dumps(found)) == json.loads(json.dumps(found.to_dict()))
    assert found.to_frame().loc["effective_clusters", "low"] == clusters.low
    assert isinstance(found._repr_html_(), Html)
    assert "60 documents" in repr(found)


def test_corpora_are_compared_in_words():
    found = compare({"few": NARROW, "<b>many": BROAD}, **FAST)
    many, few = found.scores["<b>many"], found.scores["few"]
    ratio = many.effective_clusters.value / few.effective_clusters.value
    assert found.verdict.startswith("<b>many is more diverse than few: ")
    assert f"{ratio:.3g} times as many" in found.verdict
    assert found.to_frame().loc[("effective_clusters", "few"), "value"] == float(
        few.effective_clusters
    )
    assert "<b>many" not in found._repr_html_()
    assert found["corpora"] == ["few", "<b>many"]
    again = compare({"a": BROAD, "b": [dict(row, text=row["text"] + "!") for row in BROAD]}, **FAST)
    assert again.verdict.startswith("a and b are not told apart: ")
    three = compare({"a": BROAD, "b": NARROW, "c": NARROW[::-1]}, **FAST)
    assert three.verdict.startswith("From least to most diverse by effective clusters: ")


@pytest.mark.parametrize(
    ("keywords", "error", "says"),
    [
        ({"max_docs": 3}, TypeError, "'max_docs'; did you mean 'max_documents'"),
        ({"text_feld": "a"}, TypeError, "did you mean 'text_field'"),
        ({"agent": "llm"}, UserError, "^agent='llm': choose one of"),
        ({"draws": "many"}, UserError, "^draws='many': a whole number is expected"),
        ({"draws": True}, UserError, "^draws=True: a whole number"),
        ({"part": "half"}, UserError, "^part='half': choose one of 'all'"),
        ({"max_documents": 5}, UserError, "^max_documents=5: give sample_size=10 or more"),
        (
            {"text_field": "body"},
            UserError,
            r"corpus\[0\]: no field 'body'.*name it with text_field=\.\.\.",
        ),
        ({"model": "m"}, UserError, "model=... is for agent='openai', not agent='embedding'"),
        ({"agent": "openai", "model": "m"}, UserError, r"base_url=\.\.\. is required"),
        ({"strict": True, "text_field": "body"}, UserError, r"\(strict=True\)"),
    ],
)  # fmt: skip
def test_errors_speak_python(keywords, error, says):
    with pytest.raises(error, match=says) as caught:
        score(BROAD, **keywords)
    assert "--" not in str(caught.value)


@pytest.mark.parametrize("corpus", [3, b"text", {"text": ["a"]}, "two\nlines", [3, 4], [b"a"]])
def test_what_is_no_corpus_is_named(corpus):
    with pytest.raises(UserError, match="expected|a mapping|one text is no corpus"):
        score(corpus, **FAST)


def test_an_iterator_is_not_read_twice_in_silence():
    with pytest.raises(UserError, match="an iterator is read once"):
        score(iter(BROAD), **FAST, rounds=2)
    assert score(BROAD, **FAST, rounds=2)["rounds"]["rounds"] == 2


def test_flags_in_words_of_python():
    said = in_python("--nomatch_lengths compares; --part=response: (--strict) --draws=3, --x")
    assert said == ("match_lengths=False compares; part='response': (strict=True) draws=3, x=...")


def test_every_flag_of_the_command_is_a_keyword_with_help():
    # In a process of its own: two commands that both have --text_field cannot be in one.
    code = """
from absl import flags
from divsyn_jax.diversity import score_corpus
known = flags.FLAGS.get_key_flags_for_module("divsyn_jax.diversity.score_corpus")
print(*[flag.name for flag in known])
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    names = {*done.stdout.split()} - {"output", "dry_run", "pairs_out", "merge"}
    assert len(names) > 20
    assert names <= set(inspect.signature(score).parameters)
    for function in (score, compare):
        assert list(inspect.signature(function).parameters)[1] == "agent"
        for name in {*KEYWORDS} - {"agent"}:
            assert f"  {name}: " in function.__doc__
        assert "--" not in function.__doc__
    assert {"score", "compare"} <= set(dir(package))


def test_help_and_completion_load_nothing_heavy():
    code = """
import sys
from divsyn_jax import diversity
dir(diversity), diversity.score.__doc__, diversity.compare
assert not {"jax", "torch", "pandas", "pyarrow"} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_groups_and_judged_pairs_are_keywords_too():
    records = [
        {"text": f"{word} {number}", "topic": word, "prompt": number % 5}
        for number in range(20)
        for word in ("river", "copper")
    ]
    found = score(records, agent="oracle", label_field="topic", group_field="prompt", draws=50)
    assert found["groups"]["groups"] == 5
    assert found["groups"]["distinct_kinds"]["value"] == pytest.approx(2)
    with pytest.raises(UserError, match="^pairs=1: give"):
        score(records, pairs=1)
    with pytest.raises(UserError, match="needs an endpoint: base_url=... and model=..."):
        score(records, pair_judge="openai")


def test_words_compare_corpora_of_unlike_sizes_at_one_size():
    found = compare({"large": BROAD, "small": BROAD[:20]}, **FAST)
    shown = re.search(r"([\d.]+) and ([\d.]+) effective clusters of 20 documents", found.verdict)
    assert shown, found.verdict
    # Ten topics of six documents: 5 of 59 others are of one's topic, so that 20 of them show 7.7.
    of_each = [20 / (1 + 19 * 5 / 59), 10]
    assert [float(value) for value in shown.groups()] == pytest.approx(of_each, rel=0.1)


def test_a_corpus_alone_is_no_count_of_kinds():
    assert "equally common" not in compare({"one": BROAD}, **FAST).verdict
