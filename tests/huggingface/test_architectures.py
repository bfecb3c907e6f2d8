"""Models of other families compute here what they compute in transformers, and come back whole."""

import json
import shutil

import numpy as np
import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.huggingface import architectures
from divsyn_jax.huggingface.exchange import export_run, import_checkpoint
from divsyn_jax.training import trained_run
from tests.huggingface.test_export import logits_of, tensor_bytes

SMALL = {
    "vocab_size": 408,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "initializer_range": 0.2,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
LLAMA3 = {
    "rope_type": "llama3",
    "rope_theta": 500.0,
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 32,
}
FAMILIES = {
    "llama3": ("Llama", {"rope_parameters": LLAMA3}),
    # The key of the file itself comes before the one among the parameters.
    "llama3_original": (
        "Llama",
        {
            "rope_parameters": {**LLAMA3, "original_max_position_embeddings": 32},
            "original_max_position_embeddings": 16,
        },
    ),
    "llama_wide": ("Llama", {"head_dim": 16, "tie_word_embeddings": True}),
    "mistral": ("Mistral", {"sliding_window": None, "head_dim": 16, "rms_norm_eps": 1e-5}),
    "qwen2": ("Qwen2", {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}}),
    "qwen3": ("Qwen3", {"head_dim": 16, "tie_word_embeddings": True}),
}


def their_model(name):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    family, settings = FAMILIES[name]
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**{**SMALL, **settings})
    model = getattr(transformers, f"{family}ForCausalLM")(config)
    with torch.no_grad():  # biases and norms begin at 0 and 1, where nothing could be told of them
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter += 0.3 * torch.randn(parameter.shape)
    return torch, model.eval()


@pytest.mark.parametrize("name", FAMILIES)
def test_logits_are_those_of_transformers_and_an_export_is_identical(tmp_path, tokenizer_dir, name):
    torch, theirs = their_model(name)
    theirs.save_pretrained(tmp_path / "theirs")
    shutil.copy(tokenizer_dir / "tokenizer.model", tmp_path / "theirs")
    import_checkpoint(tmp_path / "theirs", tmp_path / "run")
    tokens = np.random.default_rng(0).integers(0, 400, (2, 60))
    with torch.no_grad():
        expected = theirs(torch.tensor(tokens)).logits.numpy()
    found = logits_of(tmp_path / "run", tokens)
    assert np.max(np.abs(found - expected)) < 1e-4

    export_run(tmp_path / "run", tmp_path / "hf", 1 << 30)
    again = type(theirs) if name != "mistral" else None  # computes what a Llama does
    loaded = pytest.importorskip("transformers").AutoModelForCausalLM.from_pretrained(
        tmp_path / "hf"
    )
    assert again is None or type(loaded) is again
    with torch.no_grad():
        assert np.array_equal(loaded(torch.tensor(tokens)).logits.numpy(), expected)
    import_checkpoint(tmp_path / "hf", tmp_path / "run_again")
    export_run(tmp_path / "run_again", tmp_path / "hf_again", 1 << 30)
    assert tensor_bytes(tmp_path / "hf_again") == tensor_bytes(tmp_path / "hf")
    configs = [
        json.loads((tmp_path / folder / "config.json").read_text()) for folder in ("hf", "hf_again")
    ]
    assert configs[0] == configs[1]
    shape = trained_run.open_run(tmp_path / "run").recipe.model
    assert shape.rope_scaling.is_scaled == name.startswith("llama3")


def test_a_tied_flag_beside_another_head_is_refused_and_beside_the_same_is_not(
    tmp_path, tokenizer_dir
):
    _, theirs = their_model("llama3")
    for name, is_same in (("same", True), ("other", False)):
        if is_same:
            theirs.lm_head.weight.data = theirs.model.embed_tokens.weight.data.clone()
        else:
            theirs.lm_head.weight.data = theirs.lm_head.weight.data + 1
        folder = tmp_path / name
        theirs.save_pretrained(folder)
        shutil.copy(tokenizer_dir / "tokenizer.model", folder)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": True}))
    import_checkpoint(tmp_path / "same", tmp_path / "run")
    with pytest.raises(UserError, match="tie_word_embeddings=true, but tensor 'lm_head.weight'"):
        import_checkpoint(tmp_path / "other", tmp_path / "refused")


@pytest.mark.parametrize("kind", ["llama", "mistral", "qwen2", "qwen3"])
@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("hidden_size", "32"),
        ("num_hidden_layers", 2**40),
        ("rms_norm_eps", 10**400),
        ("layer_types", 7),
        ("rope_scaling", [1]),
        ("rope_scaling", {**LLAMA3, "factor": 10**400}),
        ("rope_parameters", {"rope_theta": "x" * 5000}),
        ("use_sliding_window", "x" * 5000),
    ],
)
def test_an_odd_config_is_one_line_whatever_the_architecture(kind, key, value):
    config = {**SMALL, "model_type": kind, "sliding_window": None, "rms_norm_eps": 1e-5}
    architectures.from_config(config, "config.json")
    with pytest.raises(UserError, match=r"^config.json: ") as raised:
        architectures.from_config({**config, key: value}, "config.json")
    assert len(str(raised.value)) < 500


OLD_LLAMA3 = {key: value for key, value in LLAMA3.items() if key != "rope_theta"}


def _rope(**rope):
    config = {**SMALL, "model_type": "llama", "rms_norm_eps": 1e-5, **rope}
    shape, _ = architectures.from_config(config, "config.json")
    return shape.rope_theta, shape.rope_scaling.original_context


def test_rotary_embeddings_are_read_in_the_order_of_transformers():
    assert _rope(rope_theta=5.0, rope_parameters={"rope_theta": 7.0})[0] == 7.0
    assert _rope(rope_theta=None, rope_parameters={"rope_theta": 7.0})[0] == 7.0
    assert _rope(rope_theta=5.0, rope_scaling={"type": "default"})[0] == 5.0
    assert _rope(rope_theta=500.0, rope_scaling=OLD_LLAMA3, rope_parameters=LLAMA3) == (500.0, 32)
    assert _rope(rope_parameters=LLAMA3, original_max_position_embeddings=16) == (500.0, 16)
    lacking = {key: value for key, value in LLAMA3.items() if not key.startswith("original")}
    assert _rope(rope_parameters=lacking, original_max_position_embeddings=16) == (500.0, 16)


@pytest.mark.parametrize(
    ("rope", "named"),
    [
        # rope_scaling alone counts there, and has no base.
        ({"rope_scaling": OLD_LLAMA3, "rope_parameters": LLAMA3}, "agrees with rope_parameters"),
        (
            {"rope_parameters": {**LLAMA3, "original_max_position_embeddings": 32.5}},
            "a whole number as original_max_position_embeddings",
        ),
    ],
)
def test_rotary_embeddings_that_two_keys_say_differently_are_refused(rope, named):
    with pytest.raises(UserError, match=rf"^config.json: rope_.*{named}"):
        _rope(**rope)
