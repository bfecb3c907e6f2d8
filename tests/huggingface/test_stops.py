"""What ends a text of an imported model: the ids that its publishers name, beside the EOS."""

import dataclasses
import json

import numpy as np
import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.evaluation import text_generation
from divsyn_jax.huggingface.exchange import export_run, import_checkpoint
from divsyn_jax.model.decode import Sampling
from divsyn_jax.training import trained_run
from divsyn_jax.training.run_directory import write_run_directory

from ..trained_runs import make_run


@pytest.fixture
def checkpoint(tmp_path, tokenizer_dir):
    """An exported run whose EOS is 2."""
    export_run(make_run(tmp_path / "run", tokenizer_dir), tmp_path / "hf", 1 << 30)
    return tmp_path / "hf"


def _edit(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


@pytest.mark.parametrize(
    ("generation", "config", "stops"),
    [
        ([300, 2], 2, [2, 300]),
        (300, 2, [2, 300]),
        (2, [2, 301], [2]),
        (None, [2, 301], [2, 301]),
        ([2, 10**6], 2, [2]),
    ],
)
def test_the_ids_that_a_checkpoint_names_end_a_text(
    tmp_path, checkpoint, generation, config, stops
):
    _edit(checkpoint / "generation_config.json", eos_token_id=generation)
    _edit(checkpoint / "config.json", eos_token_id=config)
    import_checkpoint(checkpoint, tmp_path / "imported")
    assert trained_run.open_run(tmp_path / "imported").stops == stops
    export_run(tmp_path / "imported", tmp_path / "again", 1 << 30)
    said = json.loads((tmp_path / "again" / "generation_config.json").read_text())
    assert said["eos_token_id"] == (stops if len(stops) > 1 else stops[0])


@pytest.mark.parametrize("value", ["</s>", [1.5], [True], -1, {"a": 2}])
def test_stops_that_are_no_ids_are_refused(tmp_path, checkpoint, value):
    _edit(checkpoint / "generation_config.json", eos_token_id=value)
    with pytest.raises(UserError, match=r"generation_config.json: eos_token_id=.* is no token id"):
        import_checkpoint(checkpoint, tmp_path / "imported")
    assert not (tmp_path / "imported").exists()


@pytest.mark.long
def test_a_text_ends_where_transformers_ends_it(tmp_path, checkpoint):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(checkpoint)
    tokenizer = transformers.AutoTokenizer.from_pretrained(checkpoint)
    ids = tokenizer("the river", return_tensors="pt")["input_ids"]

    def of_transformers() -> str:
        """Greedy, without the id that ended it."""
        with torch.no_grad():
            whole = theirs.generate(ids, max_new_tokens=30, do_sample=False)[0].tolist()
        ends = theirs.generation_config.eos_token_id
        ends = ends if isinstance(ends, list) else [ends]
        new = whole[ids.shape[1] :]
        return tokenizer.decode(new[:-1] if new[-1] in ends else new, skip_special_tokens=True)

    full = of_transformers()
    written = theirs.generate(ids, max_new_tokens=30, do_sample=False)[0, ids.shape[1] :].tolist()
    end = next(token for place, token in enumerate(written) if place > 4)
    theirs.generation_config.eos_token_id = [2, end]
    _edit(checkpoint / "generation_config.json", eos_token_id=[2, end])
    import_checkpoint(checkpoint, tmp_path / "imported")
    (ours,) = text_generation.generate_texts(tmp_path / "imported", ["the river"], 30, Sampling())
    assert ours.strip() == of_transformers().strip() != full.strip()


def test_the_ends_of_a_turn_in_a_gguf_file_end_a_text(tmp_path):
    gguf = pytest.importorskip("gguf")
    pytest.importorskip("transformers")
    from .test_gguf import random_weights, write_gguf

    ends = {gguf.Keys.Tokenizer.EOT_ID: 1, gguf.Keys.Tokenizer.EOM_ID: 40}
    path = tmp_path / "a.gguf"
    write_gguf(path, "llama", random_weights("llama"))
    import_checkpoint(path, tmp_path / "plain")
    assert trained_run.open_run(tmp_path / "plain").stops == [0]
    named = tmp_path / "b.gguf"
    write_gguf(named, "llama", random_weights("llama"), **ends)
    import_checkpoint(named, tmp_path / "named")
    assert trained_run.open_run(tmp_path / "named").stops == [0, 1, 40]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_of_a_model_that_diverged_are_named(tmp_path, value):
    pytest.importorskip("gguf")
    from .test_gguf import random_weights, write_gguf

    weights = random_weights("llama")
    weights["model.norm.weight"][3] = value
    write_gguf(tmp_path / "a.gguf", "llama", weights)
    with pytest.raises(UserError, match="model.norm.weight' holds NaN or infinity"):
        import_checkpoint(tmp_path / "a.gguf", tmp_path / "imported")
    assert not (tmp_path / "imported").exists()


def test_a_run_that_starts_from_an_imported_one_ends_its_texts_so_too(tmp_path, checkpoint):
    _edit(checkpoint / "generation_config.json", eos_token_id=[2, 300])
    import_checkpoint(checkpoint, tmp_path / "imported")
    run = trained_run.open_run(tmp_path / "imported")
    for start, stops in ((str(tmp_path / "imported"), [2, 300]), ("", [2])):
        recipe = dataclasses.replace(run.recipe, init_from=start)
        workdir = tmp_path / f"tuned{bool(start)}"
        workdir.mkdir()
        write_run_directory(workdir, recipe, run.tokenizer, "")
        assert trained_run.open_run(workdir).stops == stops
