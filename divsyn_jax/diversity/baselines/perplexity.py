"""Perplexity of a corpus under causal language models, and the gap between two of them. torch is
imported only here.

Any two Hugging Face causal models, by directory or hub name; an exported run of ours is such a
directory.

Shapes: B windows of a batch, L tokens of a window, N documents.
"""

import contextlib
import functools
import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from divsyn_jax.base import terminal_text
from divsyn_jax.base.commandline import UserError
from divsyn_jax.diversity.baselines.baseline import (
    Baseline,
    BaselineInputs,
    Settings,
    Value,
    no_value,
    register,
)
from divsyn_jax.diversity.baselines.document_intervals import normal, ratio

MAX_CONTEXT = 2048
_TOKENS_AT_ONCE = 2048  # the logits of a batch are this times the vocabulary


def check_models(models: Sequence[str]) -> None:
    """Raise `UserError` for names that are no models, before any work is done.

    Reads their configurations, no weights.
    """
    if len(models) > 2:
        raise UserError(
            f"--perplexity_models={','.join(models)}: {len(models)} models; name one, or two for"
            " the gap"
        )
    for name in models:
        _check_model(name)


@functools.cache
def _check_model(name: str) -> None:
    with _named_errors(name):
        import transformers

        transformers.AutoConfig.from_pretrained(name, trust_remote_code=False)


@contextlib.contextmanager
def _named_errors(name: str) -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise UserError(
            "--perplexity_models needs torch and transformers: pip install 'divsyn-jax[perplexity]'"
        ) from None
    except UserError:
        raise
    except Exception as error:
        # A missing, foreign or damaged model surfaces as many types: OSError, KeyError, the Rust
        # library's own.
        why = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"--perplexity_models={name}: cannot be loaded as a causal model ({why})"
        ) from None


def perplexity(texts: Sequence[str], models: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Perplexity under the first model, and the gap between both.

    Every document is read alone: its tokens follow the model's BOS (EOS where it has none), in
    disjoint windows of the context, each of which sees only the last token of the one before (as
    lm-evaluation-harness does). Sums run over the corpus, so a token weighs the same wherever it
    stands. Documents start cold, so perplexity falls with their
    length: compared corpora are cut to one.

    Perplexity per token, exp(sum of losses / tokens), is that of the paper and means nothing across
    tokenizers. Bits per byte, sum of losses / (ln 2 x UTF-8 bytes), does, so the gap is the
    absolute difference of those; the paper's, of perplexities per token, stands beside it where
    both models have one tokenizer. Both models read windows of one length, the smaller context (at
    most `MAX_CONTEXT`). Standard errors and intervals are over documents, paired for the gap, whose
    interval is that of the signed difference `second_minus_first`.

    Args:
      texts: documents.
      models: one or two directories or hub names.

    Returns:
      the entries `perplexity` and `perplexity_gap`.

    Raises:
      UserError: a model or its tokenizer cannot be loaded.
    """
    loaded = [_load(name) for name in models]
    # Without a limit of its own (a recurrent model) it reads windows of the maximum.
    context = min(
        getattr(model.config, "max_position_embeddings", MAX_CONTEXT) for model, _ in loaded
    )
    context = min(context, MAX_CONTEXT)
    bytes_N = np.array([len(text.encode("utf-8")) for text in texts], np.float64)
    read = [_losses(name, *pair, texts, context) for name, pair in zip(models, loaded, strict=True)]
    described = [
        _describe(name, losses_N, tokens_N, bytes_N)
        for name, (losses_N, tokens_N) in zip(models, read, strict=True)
    ]
    first = described[0]
    settings = {"context_length": context, "documents": len(texts)}
    entries = {
        "perplexity": {"value": first["perplexity"], **first, **settings},
        "perplexity_gap": {"value": None, "reason": "needs two models (--perplexity_models=A,B)"},
    }
    if len(models) == 2:
        difference_N = (read[1][0] - read[0][0]) / math.log(2)
        signed, error = ratio(difference_N, bytes_N)
        shared = loaded[0][1].get_vocab() == loaded[1][1].get_vocab()
        entries["perplexity_gap"] = {
            "value": abs(signed),
            "unit": "bits per byte",
            "second_minus_first": {
                "value": signed,
                "standard_error": error,
                **normal(signed, error).to_json(),
            },
            "token_perplexity_gap": (
                abs(described[1]["perplexity"] - first["perplexity"]) if shared else None
            ),
            "models": described,
            **settings,
        }
    return entries


def _describe(
    name: str, losses_N: np.ndarray, tokens_N: np.ndarray, bytes_N: np.ndarray
) -> dict[str, Any]:
    loss, loss_error = ratio(losses_N, tokens_N)
    bits, bits_error = ratio(losses_N / math.log(2), bytes_N)
    interval = normal(loss, loss_error)  # of the loss; the exponential is monotone
    return {
        "model": name,
        "perplexity": math.exp(loss),
        "standard_error": None if loss_error is None else math.exp(loss) * loss_error,
        **{
            key: math.exp(end) if isinstance(end, float) else end
            for key, end in interval.to_json().items()
        },
        "bits_per_byte": bits,
        "bits_per_byte_standard_error": bits_error,
        "tokens": int(tokens_N.sum()),
    }


@functools.lru_cache(maxsize=2)
def _load(name: str) -> tuple[Any, Any]:
    """Model and tokenizer, loaded once for all corpora of a comparison."""
    with _named_errors(name):
        import torch
        import transformers

        transformers.utils.logging.disable_progress_bar()
        # A model brings no code and no pickle: never a question on the terminal, safetensors alone.
        tokenizer = transformers.AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            name, dtype=torch.float32, trust_remote_code=False, use_safetensors=True
        )
    if _prefix(tokenizer) is None:
        raise UserError(
            f"--perplexity_models={name}: its tokenizer has neither BOS nor EOS for a document to"
            " start with"
        )
    return model.eval().to("cuda" if torch.cuda.is_available() else "cpu"), tokenizer


def _prefix(tokenizer: Any) -> int | None:
    return tokenizer.eos_token_id if tokenizer.bos_token_id is None else tokenizer.bos_token_id


def _losses(
    name: str, model: Any, tokenizer: Any, texts: Sequence[str], context: int
) -> tuple[np.ndarray, np.ndarray]:
    """[N] losses in nats summed over the tokens of each document, and [N] tokens."""
    import torch
    from tqdm import tqdm

    prefix = _prefix(tokenizer)
    assert prefix is not None  # `_load` refuses a tokenizer without one
    windows = []  # (document, tokens): L + 1 tokens of which the first is only read
    tokens_N = np.zeros(len(texts))
    # Far longer documents than the context are the purpose of the windows: no warning about them.
    encoded = tokenizer(list(texts), add_special_tokens=False, verbose=False)["input_ids"]
    for document, tokens in enumerate(encoded):
        tokens_N[document] = len(tokens)
        tokens = [prefix, *tokens]
        windows += [
            (document, tokens[start : start + context + 1])
            for start in range(0, len(tokens) - 1, context)
        ]
    losses_N = np.zeros(len(texts))
    with tqdm(
        total=len(windows),
        desc=terminal_text.one_line(f"perplexity of {name}", 200),
        unit="window",
        mininterval=1,
        delay=2,
        file=sys.stderr,
    ) as progress:
        for batch in _batches(windows):
            rows = [torch.tensor(tokens, device=model.device) for _, tokens in batch]
            tokens_BL = torch.nn.utils.rnn.pad_sequence(
                rows, batch_first=True, padding_value=prefix
            )
            read_BL = torch.nn.utils.rnn.pad_sequence(
                [torch.ones_like(row) for row in rows], batch_first=True
            )
            # On the right, after all that is counted: causal attention keeps the padding out, mask
            # or none.
            with torch.inference_mode():
                logits_BLV = model(
                    tokens_BL[:, :-1], attention_mask=read_BL[:, :-1], use_cache=False
                ).logits
                losses = torch.nn.functional.cross_entropy(
                    logits_BLV.flatten(0, 1).float(), tokens_BL[:, 1:].flatten(), reduction="none"
                )
            sums_B = (
                (losses.double().view(len(batch), -1) * read_BL[:, 1:]).sum(dim=1).cpu().numpy()
            )
            np.add.at(losses_N, [document for document, _ in batch], sums_B)
            progress.update(len(batch))
    return losses_N, tokens_N


def _batches(windows: list[tuple[int, list[int]]]) -> Iterator[list[tuple[int, list[int]]]]:
    """Windows of like length together, at most `_TOKENS_AT_ONCE` tokens with padding (or one
    window).
    """
    batch: list[tuple[int, list[int]]] = []
    for window in sorted(windows, key=lambda window: len(window[1]), reverse=True):
        if batch and (len(batch) + 1) * len(batch[0][1]) > _TOKENS_AT_ONCE:
            yield batch
            batch = []
        batch.append(window)
    if batch:
        yield batch


def _check_models(settings: Settings) -> None:
    check_models(settings.perplexity_models)


def _read(reading: BaselineInputs) -> dict[str, dict[str, Any]]:
    texts = reading.matched_texts[: reading.settings.perplexity_documents]
    return perplexity(texts, reading.settings.perplexity_models)


def _perplexity(reading: BaselineInputs) -> Value:
    entry = dict(reading.once(_read)["perplexity"])
    value, method = entry.pop("value"), entry.pop("method")
    low, high = entry.pop("ci_low", None), entry.pop("ci_high", None)
    return Value(value, method, low, high, details={**entry, **reading.document_words})


def _perplexity_gap(reading: BaselineInputs) -> Value:
    entry = dict(reading.once(_read)["perplexity_gap"])
    value = entry.pop("value")
    if value is None:
        return no_value(entry["reason"])
    method = "no interval: an absolute value; that of the signed difference is second_minus_first"
    return Value(value, method, details={**entry, **reading.document_words})


register(
    Baseline(
        "perplexity",
        _perplexity,
        needs="model",
        direction="up",
        meaning=(
            "exp of the mean loss per token of the first of --perplexity_models (noise as well)"
        ),
        source="Chen et al. 2024, arXiv 2410.15226, Table 1 (there GPT-2-L)",
        depends_on="document length, the model",
        check=_check_models,
    )
)
register(
    Baseline(
        "perplexity_gap",
        _perplexity_gap,
        needs="model",
        direction="up",
        meaning="absolute difference of two models' losses, in bits per byte",
        source=(
            "Chen et al. 2024, arXiv 2410.15226, Table 1 (there GPT-2-L and GPT-2-XL, in"
            " perplexity)"
        ),
        depends_on="document length, both models",
    )
)
