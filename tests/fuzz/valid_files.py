"""Files as they should be, small, and the strategies that make them wrong in places."""

import contextlib
import copy
import functools
import io
import json
import pathlib
import subprocess
import sys
import tempfile
from typing import Any

from hypothesis import strategies as st

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**18, max_value=10**40)
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(["", "..", "../x", "/etc/passwd", "\ud800", "\x1b[31m", "\u202e", "a\0b"])
    | st.sampled_from([0, -1, 1 << 31, 1 << 63, 10**400, 1e-320, 1e308])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def mutated(data: bytes) -> st.SearchStrategy[bytes]:
    """`data` cut, with a piece of it replaced, something added, or up to four fields of up to eight
    bytes overwritten: lengths, offsets, kinds.
    """
    place = st.integers(0, len(data))
    cut = st.builds(
        lambda a, b, new: data[: min(a, b)] + new + data[max(a, b) :],
        place,
        place,
        st.binary(max_size=20),
    )
    fields = st.lists(
        st.tuples(place, st.binary(min_size=1, max_size=8) | st.just(b"\xff" * 8)),
        min_size=1,
        max_size=4,
    )
    return cut | fields.map(lambda chosen: _overwritten(data, chosen))


def _overwritten(data: bytes, fields: list[tuple[int, bytes]]) -> bytes:
    changed = bytearray(data)
    for place, new in fields:
        changed[place : place + len(new)] = new
    return bytes(changed)


@st.composite
def altered(draw: st.DrawFn, value: Any) -> Any:
    """`value` of JSON with one to three of its parts replaced, left out, repeated or renamed."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 3))):
        holder, key = _place(draw, value)
        if holder is None:
            value = draw(JSON)
            continue
        change = draw(st.sampled_from(["replaced", "replaced", "left out", "renamed", "repeated"]))
        if change == "replaced":
            holder[key] = draw(JSON)
        elif change == "left out":
            del holder[key]
        elif isinstance(holder, dict):
            kept = holder.pop(key) if change == "renamed" else copy.deepcopy(holder[key])
            holder[draw(st.text(max_size=8))] = kept
        else:
            holder.insert(key, copy.deepcopy(holder[key]))
    return value


def _place(draw: st.DrawFn, value: Any) -> tuple[Any, Any]:
    """A part of `value` as the container and the key that holds it; (None, None) for the whole."""
    holder, key = None, None
    while isinstance(value, dict | list) and value:
        if holder is not None and draw(st.integers(0, 3)) == 0:
            break
        holder = value
        keys = sorted(holder) if isinstance(holder, dict) else range(len(holder))
        key = draw(st.sampled_from(list(keys)))
        value = holder[key]
    return holder, key


_KEPT = tempfile.TemporaryDirectory(prefix="divsyn-fuzz-valid-")


@functools.cache
def score_folder() -> pathlib.Path:
    """The score of a labelled corpus of 20 documents."""
    corpus = pathlib.Path(_KEPT.name, "corpus.jsonl")
    records = [{"text": f"document {n} of words", "topic": str(n % 7)} for n in range(40)]
    corpus.write_text("".join(json.dumps(record) + "\n" for record in records))
    output = pathlib.Path(_KEPT.name, "scores")
    command = ["-m", "divsyn_jax.diversity.score_corpus", str(corpus), f"--output={output}"]
    flags = ["--agent=oracle", "--label_field=topic", "--draws=100", "--baselines=none"]
    subprocess.run([sys.executable, *command, *flags], check=True, capture_output=True)
    return output / "corpus"


@functools.cache
def run_folder() -> pathlib.Path:
    """A run as training leaves it."""
    from tests import hugging_face_tokenizers, trained_runs

    tokenizer = pathlib.Path(_KEPT.name, "tokenizer")
    hugging_face_tokenizers.make_tokenizer(tokenizer, puts_bos=True, template="{{ messages }}")
    return trained_runs.make_run(pathlib.Path(_KEPT.name, "run"), f"hf:{tokenizer}")


@functools.cache
def shards_folder() -> pathlib.Path:
    """Shards of a few windows."""
    from divsyn_jax.data import shard_builder

    score_folder()
    corpus, output = (pathlib.Path(_KEPT.name, name) for name in ("corpus.jsonl", "shards"))
    tokenizer = f"hf:{run_folder().parent / 'tokenizer'}"
    with contextlib.redirect_stdout(io.StringIO()):
        shard_builder.build_shards([str(corpus)], tokenizer, str(output), seq_len=32)
    return output


@functools.cache
def tokenizer_files() -> dict[str, bytes]:
    """A tokenizer of bytes by transformers, one of Unigram, and a SentencePiece model."""
    import sentencepiece
    import tokenizers

    run_folder()
    folder = pathlib.Path(_KEPT.name, "tokenizer")
    found = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file()}
    pieces = [("<unk>", 0.0), ("</s>", 0.0), *((letter, -3.0) for letter in "\u2581 abcdefgh")]
    unigram = tokenizers.Tokenizer(tokenizers.models.Unigram(pieces, 0))
    unigram.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    found["unigram.json"] = unigram.to_str().encode()
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a bad cab fed a deaf bee"] * 20),
        model_writer=model,
        vocab_size=24,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    found["tokenizer.model"] = model.getvalue()
    return found
