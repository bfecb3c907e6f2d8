"""Recipes of run directories that were written before a key existed, and keys that nobody knows."""

import copy
import runpy

import pytest

from configs import base, tiny
from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.evaluation import text_generation
from divsyn_jax.huggingface import exchange
from divsyn_jax.model.decode import Sampling
from divsyn_jax.training import run_directory, trained_run
from divsyn_jax.training.recipe import OptimizerConfig, Recipe
from tests.trained_runs import make_run

# What a run has to say. Every other key has a default.
REQUIRED = {
    *("global_batch", "seq_len", "optimizer.peak_lr", "data.train"),
    *(
        f"model.{size}"
        for size in ("vocab_size", "hidden", "intermediate", "layers", "heads", "kv_heads")
    ),
}
# Sections that hold a required key are named by it.
FIRST_REQUIRED = {
    "model": "model.vocab_size",
    "optimizer": "optimizer.peak_lr",
    "data": "data.train",
}


def keys_of(content: dict) -> list[str]:
    """Every key, and every section, of a recipe: 'seed', 'model', 'model.hidden', ..."""
    found = []
    for key, value in content.items():
        found.append(key)
        found += [f"{key}.{name}" for name in value] if isinstance(value, dict) else []
    return found


def without(content: dict, key: str) -> dict:
    stripped = copy.deepcopy(content)
    *section, name = key.split(".")
    del (stripped[section[0]] if section else stripped)[name]
    return stripped


def value_of(content: dict, key: str):
    for name in key.split("."):
        content = content[name]
    return content


KEYS = keys_of(tiny.get_config().to_dict())


@pytest.fixture(scope="module")
def run(tmp_path_factory, tokenizer_dir):
    return make_run(tmp_path_factory.mktemp("runs") / "run", tokenizer_dir)


@pytest.fixture
def config(run):
    """The content of the run's config.json, which is put back afterwards."""
    content = files.read_json(run / "config.json")
    yield content
    files.write_json(run / "config.json", content)


@pytest.mark.parametrize("key", KEYS)
def test_a_run_from_before_a_key_opens(run, config, key):
    files.write_json(run / "config.json", without(config, key))
    named = FIRST_REQUIRED.get(key, key)
    if named in REQUIRED:
        with pytest.raises(UserError) as failure:
            trained_run.open_run(run)
        assert str(failure.value) == (
            f"{run}/config.json: config.{named}: missing, and it has no default; add it"
        )
        return
    if key == "steps":  # of this run there is no other length
        with pytest.raises(UserError, match="steps=0 and epochs=0; give one of them"):
            trained_run.open_run(run)
        return
    opened = trained_run.open_run(run).recipe.to_dict()
    default = value_of(Recipe.blank(), key)
    assert value_of(opened, key) == default
    # The run goes on with its recipe of today, unless the default changes what is computed.
    if key in FREE or value_of(config, key) == default:
        run_directory.check_same_recipe(run, Recipe.from_config(config))
    else:
        with pytest.raises(UserError, match=rf"config\.{key.split('.')[0]} was "):
            run_directory.check_same_recipe(run, Recipe.from_config(config))


FREE = {
    key
    for key in KEYS
    if key.split(".")[0] in ("data", "mesh", "checkpoint", "eval", "log", "profile", "debug")
    or key in ("accumulation_steps", "model.attention", "model.remat", "model.scan", "loss.chunk")
} | {"loss"}


def test_an_old_run_is_exported_sampled_started_from_and_continued(run, config, tmp_path):
    old = config
    for key in (
        "model.scan",
        "model.norm_eps",
        "debug",
        "profile",
        "optimizer.decay_share",
        "loss",
    ):
        old = without(old, key)
    files.write_json(run / "config.json", old)
    exchange.export_run(run, tmp_path / "hf", 10**9)
    assert (tmp_path / "hf" / "model.safetensors").is_file()
    [text] = text_generation.generate_texts(run, ["the river"], 4, Sampling())
    assert isinstance(text, str)
    opened = trained_run.open_run(run)
    abstract = opened.abstract_params()
    run_directory.initial_weights(run, abstract, opened.tokenizer, opened.recipe.model)
    run_directory.check_same_recipe(run, Recipe.from_config(config))
    assert files.read_json(run / "config.json") == old  # reading does not write


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"stpes": 3},
            r"config\.stpes: unknown key; did you mean 'steps'\? Known are steps, epochs",
        ),
        ({"model": {"hiden": 3}}, r"config\.model\.hiden: unknown key; did you mean 'hidden'\?"),
        ({"zzz": 1}, r"config\.zzz: unknown key; known are steps"),
    ],
)
def test_unknown_keys_are_refused_by_name(change, message):
    config = tiny.get_config().to_dict()
    for key, value in change.items():
        config[key] = {**config[key], **value} if isinstance(value, dict) else value
    with pytest.raises(UserError, match=message):
        Recipe.from_config(config)


def test_the_papers_recipe_says_every_key_and_changes_few_defaults():
    """A run of 0.1.0 that lacks another key is continued with the value that it had."""
    blank, paper = Recipe.blank(), base.get_base().to_dict()
    assert set(keys_of(blank)) == set(keys_of(paper))
    changed = {
        key
        for key in keys_of(paper)
        if not isinstance(value_of(paper, key), dict)
        and value_of(paper, key) != value_of(blank, key)
    }
    assert changed == {
        *("steps", "global_batch", "seq_len", "model.vocab_size"),
        *("optimizer.peak_lr", "optimizer.warmup_steps"),
    }


@pytest.mark.parametrize("name", ["tiny", "350m", "1_4b", "sft_350m"])
def test_a_recipe_comes_back_from_its_dict(name):
    recipe = Recipe.from_config(runpy.run_path(f"configs/{name}.py")["get_config"]().to_dict())
    assert Recipe.from_config(recipe.to_dict()) == recipe


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("b1", 1.5), ("b1", 1.0), ("b2", 1.0), ("eps", 0.0)),
        *(("decay_share", 1.5), ("final_lr_ratio", 2.0)),
    ],
)
def test_optimizer_settings_out_of_range_are_named(key, value):
    with pytest.raises(ValueError, match=f"optimizer.{key}={value}"):
        OptimizerConfig(peak_lr=1e-3, **{key: value})
