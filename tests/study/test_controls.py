"""What else could explain a study's outcomes, and what it is told before it trains."""

import math
import pathlib

import numpy as np
import pytest

from configs.studies import corpora as corpora_recipe
from divsyn_jax.study.controls import advice, choices, closeness
from divsyn_jax.study.controls.answers import Answers, answers_of
from divsyn_jax.study.controls.ngrams import TrigramModel
from divsyn_jax.study.hypotheses.verdict import Kind
from divsyn_jax.study.recipe import Study
from tests.study.test_hypotheses import PREDICTS, evidence, reasons


def test_probabilities_of_the_model_sum_to_one():
    """Over every symbol that may come next: five tokens and the end."""
    model = TrigramModel([[0, 1, 2, 0, 1], [0, 1, 3]], 5)
    start, end = 5, 6
    for one, two in ((start, start), (start, 0), (0, 1), (4, 4)):
        keys = np.array([(one * 7 + two) * 7 + symbol for symbol in (0, 1, 2, 3, 4, end)])
        assert model.probabilities(keys).sum() == pytest.approx(1)
    assert model.bits([[0, 1, 2]]) < model.bits([[0, 1, 4]]) < math.inf


class Letters:
    """A tokenizer of one id a letter."""

    vocab_size = 128

    def encode(self, texts):
        return [[min(ord(letter), 127) for letter in text] for text in texts]


def words(vocabulary: str, documents: int, seed: int) -> list[str]:
    generator = np.random.default_rng(seed)
    return [" ".join(generator.choice(vocabulary.split(), 40)) for _ in range(documents)]


SEA, LAW = "sail mast keel anchor harbour tide", "court judge plea verdict jury appeal"


def test_a_text_is_closest_to_a_corpus_of_its_kind():
    found = closeness.closeness_of(
        {"sea": words(SEA, 80, 0), "more_sea": words(SEA, 200, 1), "law": words(LAW, 60, 2)},
        {"ships": words(SEA, 20, 3), "trials": words(LAW, 20, 4)},
        Letters(),
    )
    corpora = found["corpora"]
    for way in ("of_evaluation", "of_corpus"):
        assert corpora["sea"][way]["ships"] < 0.7 * corpora["law"][way]["ships"]
        assert corpora["law"][way]["trials"] < 0.7 * corpora["sea"][way]["trials"]
    # Equal bytes: the larger corpus is no closer for its size.
    assert corpora["sea"]["of_evaluation"]["ships"] == pytest.approx(
        corpora["more_sea"]["of_evaluation"]["ships"], rel=0.05
    )
    pairs = [{pair["first"], pair["second"]} for pair in closeness.unlike(found, {})]
    assert {"sea", "more_sea"} not in pairs
    assert {"sea", "law"} in pairs
    assert closeness.unlike(found, {"sea": "a", "more_sea": "a", "law": "b"}) == []


def test_a_sample_knows_no_order_and_no_copies(tmp_path):
    from tests.conftest import small_texts, write_jsonl

    texts = small_texts(50)
    one = write_jsonl(tmp_path / "one.jsonl", texts)
    two = write_jsonl(tmp_path / "two.jsonl", texts[::-1] * 3)
    options = Study(corpora_recipe.get_config().to_dict(), tmp_path).options
    assert closeness.sample_texts(str(one), options) == closeness.sample_texts(str(two), options)


def study_of(n: int, *, families: int = 1, seeds=(0, 1, 2), **changes) -> Study:
    recipe = corpora_recipe.get_config().to_dict() | {"seeds": seeds, "heldout": {"news": {}}}
    recipe["levels"] = [
        {"name": f"c{i}", "corpus": f"c{i}.jsonl", "fingerprint": str(i)}
        | ({"family": str(i % families)} if families > 1 else {})
        for i in range(n)
    ]
    return Study(recipe | changes, pathlib.Path("nowhere"))


@pytest.mark.parametrize(
    ("n", "families", "least"), [(3, 1, 5), (4, 1, 5), (5, 1, None), (5, 2, 6), (6, 2, None)]
)
def test_the_least_number_of_corpora_that_decides(n, families, least):
    arguments = ["--config=configs/studies/corpora.py", "--corpora=a.jsonl b.jsonl", "--eval=n=n"]
    (said,) = advice.of_numbers(study_of(n, families=families), arguments)
    if least is None:
        assert f"{n} corpora decide what shows at |r| = " in said
        return
    assert f"{n} corpora" in said
    assert "decide nothing about diversity" in said
    assert f"{least} are the least" in said
    more = " ".join(f"ANOTHER_{i}.jsonl" for i in range(1, least - n + 1))
    assert said.endswith(
        f"Add {least - n} or more: python -m divsyn_jax.study --config=configs/studies/corpora.py"
        f" '--corpora=a.jsonl b.jsonl {more}' --eval=n=n"
    )


def test_advice_is_about_correlations_alone():
    assert advice.of_numbers(study_of(3, hypotheses=["null_control"]), ()) == []
    twice = study_of(3)
    for level in twice.recipe["levels"]:
        level["fingerprint"] = "one"
    assert advice.of_numbers(twice, ()) == []
    assert advice.of_numbers(study_of(5, seeds=(0,)), ())[1].startswith("one seed")


def test_texts_are_judged_before_training():
    near = {"bytes": 1, "divergences": [{"first": "c0", "second": "c1", "divergence": 0.2}]}
    near["corpora"] = {
        f"c{i}": {"of_evaluation": {"news": bits}, "of_corpus": {"news": 2.0}}
        for i, bits in enumerate((1.0, 2.0, 2.1))
    }
    amounts = {f"c{i}": {"distinct_bytes": 1000 * (i + 1)} for i in range(3)}
    said = advice.of_texts(study_of(3).recipe, near, amounts)
    assert "unlike kinds, c0 and c1" in said[0]
    assert said[1].startswith("evaluation text news is near c0: 1.00 bits")
    assert said[2].endswith("--config.equal_text=True")
    near["divergences"][0]["divergence"] = 0.01
    near["corpora"]["c0"]["of_evaluation"]["news"] = 1.95
    equal = {f"c{i}": {"distinct_bytes": 1000} for i in range(3)}
    assert advice.of_texts(study_of(3).recipe, near, equal) == []


# Eight corpora whose bits a byte follow a nearness to the letter, and their diversity about.
NEAR = {f"l{i}": 4 - 0.3 * i + 0.15 * (-1) ** i for i in range(1, 9)}
FOLLOWING = {f"l{i}": (2.0**i, 1 + 0.3 * NEAR[f"l{i}"]) for i in range(1, 9)}


@pytest.mark.parametrize(("unlike", "kind"), [(True, Kind.CANNOT_TELL), (False, Kind.SUPPORTED)])
def test_closeness_competes_where_kinds_are_unlike(unlike, kind):
    """The more diverse, the closer to the text: by breadth in one kind, by kind among several."""
    near = {
        name: {"of_evaluation": {"text": bits}, "of_corpus": {"text": 2.0}}
        for name, bits in NEAR.items()
    }
    found = reasons(evidence(FOLLOWING, closeness=near, unlike_kinds=unlike))[PREDICTS]
    assert found.kind == kind
    assert ("not told apart from closeness to text" in found.reason) == unlike
    (beside,) = found.beside
    assert beside.startswith("closeness to text (bits a byte")
    assert beside.endswith("1.75 to 3.55")


def test_likeness_competes_in_any_kind():
    near = {
        name: {"of_evaluation": {"text": 2.0}, "of_corpus": {"text": bits}}
        for name, bits in NEAR.items()
    }
    found = reasons(evidence(FOLLOWING, closeness=near))[PREDICTS]
    assert found.kind == Kind.CANNOT_TELL
    assert "likeness to text" in found.reason


def questions(gain_right: float, gain_wrong: float) -> dict[str, list[list[Answers]]]:
    """Log-likelihoods that rise by so many nats a doubling, for five levels, three seeds."""
    generator = np.random.default_rng(0)
    base = generator.normal(-40, 5, (200, 4))
    found = {}
    for level in range(5):
        found[f"l{level}"] = []
        for _ in range(3):
            noise = generator.normal(0, 0.5, (200, 4))
            gain = np.array([gain_wrong, gain_right, gain_wrong, gain_wrong]) * level
            found[f"l{level}"].append(
                [Answers(list(row), [20, 20, 20, 20], 1) for row in base + noise + gain]
            )
    return found


def test_what_wrong_answers_gain_as_well_is_no_knowledge():
    wording = choices._measured(questions(1.0, 1.0), range(5), "", "pretrain")
    bits = next(row for row in wording if row["measure"].startswith("minus bits"))
    assert bits["right"]["ci_low"] > 0  # it rises, and so does a wrong answer's
    assert bits["wrong"]["ci_low"] > 0
    assert bits["right"]["value"] == pytest.approx(1 / 20 / math.log(2), rel=0.05)
    assert not any(row["knowledge"] for row in wording)
    knowing = choices._measured(questions(2.0, 1.0), range(5), "", "pretrain")
    assert all(row["knowledge"] for row in knowing)
    assert knowing[2]["beyond"]["value"] == pytest.approx(1 / 20 / math.log(2), rel=0.1)


def test_the_interval_of_a_gain_has_the_error_of_items_and_seeds():
    generator, covered, studies = np.random.default_rng(1), 0, 300
    for _ in range(studies):
        item = generator.normal(0, 1, (5, 1, 40))  # levels differ by item, the same for each seed
        seed = generator.normal(0, 0.3, (5, 3, 1))
        value = 0.2 * np.arange(5)[:, None, None] + item + seed
        found = choices.gain_per_doubling(value, range(5))
        covered += found["ci_low"] <= 0.2 <= found["ci_high"]
    assert 0.91 <= covered / studies <= 0.985


def test_records_that_are_no_choice_are_left_alone():
    assert answers_of([{"item": 0, "target": "yes", "answers": [[-1, False]] * 2}], None) == []
    assert answers_of([{"item": 0, "target": "0", "answers": ["text"]}], None) == []
    (found,) = answers_of(
        [{"item": 0, "target": "1", "answers": [[-1.0, False], [-2.0, True]]}], [[3, 4]]
    )
    assert found == Answers([-1.0, -2.0], [3, 4], 1)
