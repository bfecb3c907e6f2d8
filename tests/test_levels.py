"""The table of levels: mixtures and controls, against the figures of Chen et al. 2024."""

import importlib

import pytest

from configs import diversity
from configs.studies import equal_repetition
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.pipeline import parse_sources

GRID = [name for name, level in diversity.LEVELS.items() if level.group == "topics x generations"]
RECIPE = importlib.import_module("configs.350m")


def level(argument):
    return diversity.level_of(argument)


def real_and_synthetic(level_):
    real, synthetic = parse_sources(level_.data_train())
    return real, synthetic


def epochs(level_, unique_b):
    """Epochs over the synthetic text of the 350M recipe's run, relative to any other level's."""
    real, synthetic = real_and_synthetic(level_)
    used = synthetic.tokens / 1e9 if synthetic.tokens else unique_b
    return level_.steps_ratio * synthetic.weight / (real.weight + synthetic.weight) / used


def test_every_arm_of_the_paper_is_there():
    assert len(diversity.LEVELS) == 22
    assert len(GRID) == 6
    shares = {
        "topics_100k_x10": 4.5 / 38.5,
        "topic_styles": 20 / 54,
        "generator_mixed": 5 / 39,
        "ratio_50b": 50 / 84,
    }
    for name, share in shares.items():
        real, synthetic = real_and_synthetic(diversity.LEVELS[name])
        assert synthetic.weight / (real.weight + synthetic.weight) == pytest.approx(share)
    assert parse_sources(diversity.LEVELS["real_only"].data_train())[0].folder == "real"


def test_the_default_control_is_the_papers():
    for name in GRID:
        assert (
            level(f"level={name}")
            == level(f"level={name},control=equal_total_tokens")
            == diversity.LEVELS[name]
        )
    repeats = [
        epochs(diversity.LEVELS[name], diversity.LEVELS[name].unique_tokens_b) for name in GRID
    ]
    assert max(repeats) / min(repeats) == pytest.approx(4.43 / 0.58)


def test_equal_unique_tokens():
    controlled = [level(f"level={name},control=equal_unique_tokens") for name in GRID]
    assert {real_and_synthetic(c)[1].tokens for c in controlled} == {580_000_000}
    assert (
        len({epochs(c, None) for c in controlled})
        == len({c.effective_tokens_b for c in controlled})
        == 1
    )
    assert {c.corpus for c in controlled} == set(GRID)
    given = level("level=topic,control=equal_unique_tokens,unique_tokens=3e6")
    assert real_and_synthetic(given)[1].tokens == 3_000_000


def test_equal_repetition():
    controlled = {name: level(f"level={name},control=equal_repetition") for name in GRID}
    repeats = [epochs(c, diversity.LEVELS[name].unique_tokens_b) for name, c in controlled.items()]
    assert max(repeats) == pytest.approx(min(repeats))
    real = [c.steps_ratio * 34 / (34 + c.effective_tokens_b) for c in controlled.values()]
    assert max(real) == pytest.approx(min(real))
    assert controlled["topics_300k_x30"].steps_ratio == 1
    small = controlled["topics_100k_x10"]
    assert RECIPE.get_config("level=topics_100k_x10,control=equal_repetition").steps == round(
        95_367 * small.steps_ratio
    )
    assert (
        level("level=topic,control=equal_repetition,unique_tokens=2,largest=4").effective_tokens_b
        == 10
    )


def test_the_study_of_equal_repetition_reads_every_corpus_equally_often():
    config = equal_repetition.get_config()
    weights = {level["name"]: level["synthetic_weight"] for level in config.levels}
    assert list(weights) == GRID
    # Steps are equal, so a corpus is read as often as its share of the tokens holds it.
    repeats = [
        w / (config.real_weight + w) / diversity.LEVELS[name].unique_tokens_b
        for name, w in weights.items()
    ]
    assert max(repeats) == pytest.approx(min(repeats))
    assert weights["topics_300k_x30"] == pytest.approx(4.43)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("level=none", "known levels: real_only"),
        ("topic", "use level=NAME"),
        ("control=equal_repetition", "level=None is unknown"),
        ("level=topic,control=fair", "known controls: equal_total_tokens"),
        ("level=topic,level=topic", "use level=NAME"),
        ("level=topic,unique_tokens=5", "unique_tokens is for"),
        (
            "level=topic,control=equal_unique_tokens,unique_tokens=many",
            "a number of tokens is expected",
        ),
        (
            "level=topic,control=equal_unique_tokens,largest=5",
            "largest is for control=equal_repetition",
        ),
        ("level=topic,control=equal_repetition,largest=5", "together, or neither"),
        ("level=ratio_5b,control=equal_repetition", "do not differ in unique tokens"),
        ("level=real_only,control=equal_unique_tokens", "do not differ in unique tokens"),
    ],
)
def test_what_cannot_be_resolved_is_refused(argument, message):
    with pytest.raises(UserError, match=message):
        level(argument)


def test_a_recipe_takes_mixture_and_level():
    config = RECIPE.get_config("level=topics_100k_x20,control=equal_unique_tokens")
    assert config.data.train == "real=real:34,synthetic=topics_100k_x20@580000000:4.5"
    assert config.level.control == "equal_unique_tokens"
    assert config.steps == 95_367
