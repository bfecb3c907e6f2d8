"""The benchmark of the modern recipe: what its runs are, and what it makes of their figures."""

import json

import pytest

from configs import modern
from divsyn_jax.training.recipe import Recipe
from tools.benchmarks import modern_recipe as benchmark
from tools.benchmarks.modern_recipe import MODERN, PAPER, Trial


def settings(*arguments):
    return benchmark.parse(["--work=unused", "--sizes=4m", "--seeds=0,1", *arguments])


def recipe_of(trial, *arguments):
    given = settings(*arguments)
    config = modern.get_config(f"size={trial.size},seq_len={given.seq_len}")
    for key, value in benchmark.overrides(trial, given).items():
        section, _, name = key.rpartition(".")
        config.update_from_flattened_dict({key: value}) if section else config.update({name: value})
    return Recipe.from_config(config.to_dict())


def test_every_trial_is_a_recipe_and_no_two_share_a_folder():
    trials = benchmark.trials(settings())
    assert len({trial.folder for trial in trials}) == len(trials) == 2 * (2 + 5 + 4 + 12)
    for trial in trials:
        recipe_of(trial)


def test_the_papers_recipe_is_without_every_element():
    paper, new = recipe_of(Trial("4m", 0, PAPER)), recipe_of(Trial("4m", 0, MODERN))
    o = paper.optimizer
    assert (o.name, o.schedule, o.skip_spikes, o.b2) == ("adamw", "linear", 0.0, 0.95)
    assert (paper.loss.z_loss, paper.model.qk_norm, paper.model.initialization) == (
        0,
        False,
        "gpt2",
    )
    assert (new.optimizer.name, new.optimizer.schedule) == ("muon", "wsd")
    assert o.peak_lr == 2 * new.optimizer.peak_lr  # the law's, which 'wsd' halves
    assert (paper.steps, paper.global_batch) == (new.steps, new.global_batch)
    shorter = recipe_of(Trial("4m", 0, MODERN, share=0.5, rate=2.0))
    assert shorter.steps == pytest.approx(new.steps / 2, abs=1)
    assert shorter.optimizer.peak_lr == 2 * new.optimizer.peak_lr
    small = recipe_of(Trial("4m", 0, MODERN), "--tokens=65536", "--batch_tokens=2048")
    assert (small.steps, small.global_batch, small.optimizer.warmup_steps) == (32, 4, 6)


def test_a_base_is_of_the_modern_recipe_alone_and_an_element_comes_after_it():
    base = "--base=model.initialization=fan_in"
    found = [
        recipe_of(Trial("4m", 0, name), base).model.initialization
        for name in (MODERN, "Muon", "initialisation", PAPER)
    ]
    assert found == ["fan_in", "fan_in", "gpt2", "gpt2"]


def test_the_share_that_is_needed():
    points = [(0.25, 3.0), (0.5, 2.0), (1.0, 1.0)]
    assert benchmark.share_needed(points, 2.0) == (pytest.approx(0.5), "")
    assert benchmark.share_needed(points, 1.5) == (pytest.approx(0.5**0.5), "")
    assert benchmark.share_needed(points, 3.5) == (0.25, "<=")
    assert benchmark.share_needed(points, 0.5) == (1.0, ">")


def test_the_best_rate():
    around = [(2.0**x, (x - 0.5) ** 2) for x in (-2, -1, 0, 1, 2)]
    assert benchmark.best_rate(around) == (pytest.approx(2**0.5), "")
    assert benchmark.best_rate([(1, 1.0), (2, 2.0), (4, 3.0)]) == (1, "at the edge")


def made_up_run(work, trial, end):
    folder = work / "runs" / trial.folder
    folder.mkdir(parents=True)
    recipe = {"steps": 4, "global_batch": 2, "seq_len": 8, "optimizer": {"peak_lr": 1e-3}}
    (folder / "config.json").write_text(json.dumps(recipe))
    lines = [{"step": 2, "loss": 3.0, "eval/a/bits_per_byte": 5.0, "eval/b/bits_per_byte": 6.0}]
    lines.append({"step": 4, "eval/a/bits_per_byte": end - 0.5, "eval/b/bits_per_byte": end + 0.5})
    lines[-1]["skipped_steps"] = 3
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (folder / "DONE").write_text("{}")


def test_the_page_says_what_the_runs_say(tmp_path):
    """Modern is as good as the paper's in about half the tokens, with either seed."""
    given = settings()
    for seed in (0, 1):
        made_up_run(tmp_path, Trial("4m", seed, PAPER), 2.0 + seed)
        made_up_run(tmp_path, Trial("4m", seed, MODERN), 1.0 + seed)
        made_up_run(tmp_path, Trial("4m", seed, MODERN, share=0.4), 2.25 + seed)
        made_up_run(tmp_path, Trial("4m", seed, MODERN, share=0.7), 1.75 + seed)
        made_up_run(tmp_path, Trial("4m", seed, "Muon"), 1.5 + seed)
    trials = benchmark.trials(given)
    found = [run for trial in trials if (run := benchmark.read(trial, tmp_path))]
    assert len(found) == 10
    assert found[0]["curve"] == [[32, 5.5], [64, 2.0]]
    page = benchmark.page(found, given)
    assert "| paper | 2.5000 [-3.8531, 8.8531] | +1.0000 [+1.0000, +1.0000] | 6 |" in page
    assert "| modern without Muon | 2.0000" in page
    assert "0.53 [0.53, 0.53] of the tokens (2 seeds)" in page
    assert "modern without WSD" not in page
