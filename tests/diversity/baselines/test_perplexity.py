"""Against a direct computation with transformers, on tiny random models saved here."""

import math

import numpy as np
import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.diversity.baselines.perplexity import check_models, perplexity

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

CONTEXT = 16
TEXTS = [
    "to be or not to be",
    "the question",
    "be " * 40 + "or",
    "not that is the question of the day and more of it",
]


def _tokenizer(words):
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {word: number for number, word in enumerate(["<s>", "<unk>", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", unk_token="<unk>"
    )


WORDS = ["to", "be", "or", "not", "that", "is", "the", "question", "day", "of"]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    size = {"vocab_size": 12, "bos_token_id": 0, "eos_token_id": 0}
    torch.manual_seed(0)
    gpt2 = transformers.GPT2Config(
        n_embd=32, n_layer=2, n_head=2, n_positions=CONTEXT, initializer_range=0.5, **size
    )
    llama = transformers.LlamaConfig(
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=64,
        initializer_range=0.5,
        **size,
    )
    for name, model, words in (
        ("gpt2", transformers.GPT2LMHeadModel(gpt2), WORDS),
        ("llama", transformers.LlamaForCausalLM(llama), WORDS),
        ("other", transformers.LlamaForCausalLM(llama), WORDS[::-1]),
    ):
        model.save_pretrained(folder / name)
        _tokenizer(words).save_pretrained(folder / name)
    return {name: str(folder / name) for name in ("gpt2", "llama", "other")}


def _direct(path):
    """Loss and tokens of each document, one window at a time."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(path)
    model = transformers.AutoModelForCausalLM.from_pretrained(path).eval()
    losses, counts = [], []
    for text in TEXTS:
        tokens = [0, *tokenizer(text)["input_ids"]]
        loss = 0.0
        for start in range(0, len(tokens) - 1, CONTEXT):
            window = torch.tensor([tokens[start : start + CONTEXT + 1]])
            with torch.no_grad():
                log_probabilities = model(window[:, :-1]).logits.log_softmax(-1)
            loss -= float(log_probabilities.gather(2, window[:, 1:, None]).sum())
        losses.append(loss)
        counts.append(len(tokens) - 1)
    return np.array(losses), np.array(counts)


def test_equals_the_direct_computation(models):
    found = perplexity(TEXTS, [models["gpt2"], models["llama"]])
    sizes = np.array([len(text.encode()) for text in TEXTS])
    (gpt2, counts), (llama, _) = _direct(models["gpt2"]), _direct(models["llama"])
    first, gap = found["perplexity"], found["perplexity_gap"]
    assert first["value"] == pytest.approx(math.exp(gpt2.sum() / counts.sum()), rel=1e-5)
    assert first["bits_per_byte"] == pytest.approx(gpt2.sum() / math.log(2) / sizes.sum(), rel=1e-5)
    assert (first["tokens"], first["documents"]) == (counts.sum(), len(TEXTS))
    assert (first["model"], first["context_length"]) == (models["gpt2"], CONTEXT)
    signed = (llama.sum() - gpt2.sum()) / math.log(2) / sizes.sum()
    assert gap["value"] == pytest.approx(abs(signed), rel=1e-4)
    assert gap["second_minus_first"]["value"] == pytest.approx(signed, rel=1e-4)
    expected = abs(math.exp(gpt2.sum() / counts.sum()) - math.exp(llama.sum() / counts.sum()))
    assert gap["token_perplexity_gap"] == pytest.approx(expected, rel=1e-4)
    assert [model["model"] for model in gap["models"]] == [models["gpt2"], models["llama"]]


def test_the_standard_error_is_over_documents(models):
    losses, counts = _direct(models["gpt2"])
    first = perplexity(TEXTS, [models["gpt2"]])["perplexity"]
    loss = losses.sum() / counts.sum()
    error = math.sqrt(4 / 3 * np.square(losses - loss * counts).sum()) / counts.sum()
    assert first["standard_error"] == pytest.approx(math.exp(loss) * error, rel=1e-4)
    assert first["ci_low"] == pytest.approx(math.exp(loss - 1.959964 * error), rel=1e-4)
    assert first["ci_high"] == pytest.approx(math.exp(loss + 1.959964 * error), rel=1e-4)


def test_other_tokenizers_have_a_gap_in_bytes_only(models):
    gap = perplexity(TEXTS, [models["gpt2"], models["other"]])["perplexity_gap"]
    assert gap["value"] > 0
    assert gap["token_perplexity_gap"] is None


def test_one_model_has_no_gap(models):
    found = perplexity(TEXTS, [models["llama"]])
    assert found["perplexity"]["value"] > 1
    assert found["perplexity"]["context_length"] == 64
    assert found["perplexity_gap"]["value"] is None
    assert "two models" in found["perplexity_gap"]["reason"]


def test_what_is_no_model_is_told_before_any_work(tmp_path):
    for name in (str(tmp_path), "./nowhere", "no-one/nothing", ""):
        with pytest.raises(
            UserError, match=f"--perplexity_models={name}: cannot be loaded as a causal model"
        ):
            check_models([name])
    with pytest.raises(UserError, match="3 models"):
        check_models(["a", "b", "c"])


def test_a_model_without_weights(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    check_models([str(tmp_path)])
    with pytest.raises(UserError, match="cannot be loaded as a causal model"):
        perplexity(TEXTS, [str(tmp_path)])
