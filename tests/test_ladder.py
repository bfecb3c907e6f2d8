"""The ladder of sizes: one law from parameters to shape, batch, tokens and rate."""

import pytest

from configs import ladder, modern
from divsyn_jax.base.errors import UserError
from divsyn_jax.model import decoder
from divsyn_jax.training import recipe_file
from divsyn_jax.training.recipe import Recipe


@pytest.mark.parametrize("size", ladder.SIZES)
def test_every_size_is_a_recipe_of_as_many_parameters(size):
    recipe = Recipe.from_config(modern.get_config(size).to_dict())
    c = recipe.model
    assert c.head_dim == ladder.HEAD_WIDTH
    tables = 2 * c.vocab_size * c.hidden
    norms = c.layers * (2 * c.hidden + 2 * c.head_dim) + c.hidden
    layers = ladder.layer_parameters(c.layers, c.hidden)
    assert decoder.count_params(c) == layers + tables + norms
    assert layers == pytest.approx(ladder.SIZES[size], rel=0.15)
    trained_on = recipe.steps * recipe.global_batch * recipe.seq_len
    assert trained_on == pytest.approx(20 * layers, rel=0.01)
    assert recipe.optimizer.warmup_steps == pytest.approx(recipe.steps / 20, rel=0.1)
    assert (recipe.optimizer.name, c.qk_norm, c.initialization) == ("muon", True, "gpt2")


def test_the_law_at_its_reference_and_away_from_it():
    """160 windows of 2048 tokens and half of 0.0047 at 108M; powers of 2/3 and -1/3."""
    assert ladder.batch_tokens(108e6) == 160 * 2048
    assert ladder.batch_tokens(8 * 108e6) == pytest.approx(4 * 160 * 2048)
    assert ladder.learning_rate(108e6) == pytest.approx(0.00235)
    assert ladder.learning_rate(8 * 108e6) == pytest.approx(0.00235 / 2, rel=5e-3)
    small, large = ladder.rung("1m"), ladder.rung("1_4b")
    assert (small.b2, large.b2) == (0.99, 0.95)
    assert (small.layers, small.hidden, large.layers, large.hidden) == (2, 192, 30, 1984)


def test_depth_and_width_grow_together():
    rungs = [ladder.rung(size) for size in ladder.SIZES]
    for shape in ("layers", "hidden", "global_batch", "tokens"):
        values = [getattr(found, shape) for found in rungs]
        assert values == sorted(set(values)), shape
    rates = [found.peak_lr for found in rungs]
    assert rates == sorted(set(rates), reverse=True)


def test_batch_and_steps_follow_the_window():
    long, short = ladder.rung("60m", 2048), ladder.rung("60m", 512)
    assert short.global_batch == pytest.approx(4 * long.global_batch, rel=0.07)
    assert short.tokens == pytest.approx(long.tokens, rel=0.01)
    fewer = ladder.rung("60m", 512, tokens_per_parameter=1.0)
    assert fewer.tokens == pytest.approx(long.tokens / 20, rel=0.01)
    assert fewer.warmup_steps == fewer.steps // 5


def test_a_batch_of_another_size_takes_the_rate_that_belongs_to_it():
    """The square root of the ratio of the batches; the tokens stay the law's."""
    law = ladder.rung("4m", 128)
    quarter = ladder.rung("4m", 128, tokens_in_batch=law.global_batch * 128 / 4)
    assert quarter.global_batch == law.global_batch // 4
    assert quarter.peak_lr == pytest.approx(law.peak_lr / 2, rel=0.01)
    assert quarter.tokens == pytest.approx(law.tokens, rel=0.01)
    own = ladder.rung("4m", 128, tokens_in_batch=law.global_batch * 128)
    assert own.peak_lr == pytest.approx(law.peak_lr, rel=0.01)
    recipe = modern.get_config("4m,seq_len=128,batch_tokens=4096")
    assert recipe.global_batch == 32
    assert recipe.optimizer.peak_lr == ladder.rung("4m", 128, tokens_in_batch=4096).peak_lr


def test_arguments_of_the_recipe():
    bound = modern.get_config("size=4m,seq_len=256,tokens_per_parameter=5,level=topic_styles")
    assert (bound.seq_len, bound.model.hidden) == (256, 256)
    assert bound.level.name == "topic_styles"
    assert modern.get_config("15m").to_dict() == modern.get_config("size=15m").to_dict()
    assert modern.get_config().model.hidden == 192
    for wrong, said in (
        ("8m", "size='8m' is not on the ladder; use one of 1m, 4m"),
        ("4m,seq_len=long", "seq_len=long: give a number"),
        ("4m,width=3", "config argument 'width=3'"),
    ):
        with pytest.raises(UserError, match=said):
            modern.get_config(wrong)


def test_a_study_names_sizes():
    sizes = ladder.study_sizes(("1m", "4m"), seq_len=128)
    assert [size["name"] for size in sizes] == ["1m", "4m"]
    keys = {**sizes[1], "seq_len": 128, "model": {"vocab_size": 2048}}
    made = recipe_file.evaluate({key: value for key, value in keys.items() if key != "name"})
    assert made["model"]["hidden"] == 256
    assert made["global_batch"] == ladder.rung("4m", 128).global_batch
    with pytest.raises(UserError, match="size='3m'"):
        ladder.study_sizes(("3m",), seq_len=128)
