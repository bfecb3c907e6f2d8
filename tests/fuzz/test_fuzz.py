"""Whatever a stranger's file or server holds, the answer is a result or one line: `UserError`, or
the client's own failures. Anything else that is raised is a finding.

Run by `make test-slow`; longer with DIVSYN_FUZZ_SECONDS=3600, which each target then takes.
"""

import contextlib
import functools
import gzip
import io
import json
import os
import pathlib
import shutil
import tempfile
import time

import numpy as np
import pytest
import zstandard

hypothesis = pytest.importorskip("hypothesis", reason="the extra dev is not installed")
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from divsyn_jax.base import files, terminal_text  # noqa: E402
from divsyn_jax.base.commandline import UserError  # noqa: E402
from divsyn_jax.data.readers import tfds_features  # noqa: E402
from divsyn_jax.data.readers.corpus import CorpusReader, ReadOptions  # noqa: E402

from . import valid_files  # noqa: E402
from .valid_files import JSON, altered, mutated  # noqa: E402

pytestmark = pytest.mark.slow
SECONDS = float(os.environ.get("DIVSYN_FUZZ_SECONDS", "0"))
_EXAMPLES = 200


def fuzzed(*strategies, **named):
    """`given`, for `_EXAMPLES` examples; by DIVSYN_FUZZ_SECONDS again and again for that long."""

    def decorate(test):
        run = settings(
            max_examples=_EXAMPLES,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )(given(*strategies, **named)(test))

        def repeated():
            end = time.monotonic() + SECONDS
            run()
            while time.monotonic() < end:
                run()

        repeated.__name__, repeated.__doc__ = test.__name__, test.__doc__
        repeated.fuzz_one_input = run.hypothesis.fuzz_one_input  # for coverage_guided.py
        return repeated

    return decorate


@contextlib.contextmanager
def one_line():
    """Nothing but `UserError` leaves the block, and its message can be shown."""
    try:
        yield
    except UserError as error:
        line = terminal_text.one_line(str(error))
        assert line.encode("utf-8")
        assert len(line.splitlines()) == 1


LINES = b"".join(
    json.dumps(record).encode() + b"\n"
    for record in ({"text": "one"}, {"text": "two", "topic": ["a"]}, {"text": ""})
)


@fuzzed(
    st.sampled_from([".jsonl", ".jsonl.gz", ".jsonl.zst", ".txt", ".txt.zst", ".parquet"]),
    st.binary(max_size=200)
    | mutated(LINES)
    | mutated(gzip.compress(LINES, mtime=0))
    | mutated(zstandard.compress(LINES) * 2)
    | st.lists(JSON, max_size=4).map(lambda v: "\n".join(map(json.dumps, v)).encode()),
    st.sampled_from(["file", "paragraph", "line"]),
)
def test_readers(suffix, data, unit):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, f"a{suffix}")
        path.write_bytes(data)
        with one_line():
            for document in CorpusReader(str(path), ReadOptions(text_unit=unit)):
                document.text.encode("utf-8")
        assert os.listdir(folder) == [path.name]


_once = functools.cache(lambda make: make())


def _parquet() -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    sink = pyarrow.BufferOutputStream()
    table = pyarrow.table({"text": ["one", "two"] * 20, "n": list(range(40))})
    parquet.write_table(table, sink, row_group_size=10)
    return sink.getvalue().to_pybytes()


@fuzzed(st.data())
def test_parquet(data):
    content = data.draw(mutated(_once(_parquet)))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "a.parquet")
        path.write_bytes(content)
        with one_line():
            list(CorpusReader(str(path)))


ANSWER = {
    "id": "a-1",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": [{"type": "text", "text": '{"score": 3, "same": true}'}],
                "reasoning_content": "thought",
                "tool_calls": [],
            },
            "finish_reason": "stop",
        }
    ],
    "usage": {
        "prompt_tokens": 7,
        "completion_tokens": 5,
        "completion_tokens_details": {"reasoning_tokens": 2},
    },
    "error": {"message": "none", "code": 429, "type": "rate_limited"},
}


@fuzzed(
    JSON | altered(ANSWER) | altered({key: ANSWER[key] for key in ("id", "choices", "usage")}),
    st.sampled_from([200, 302, 400, 401, 404, 429, 500]),
)
def test_endpoint_answers(body, status):
    pytest.importorskip("openai")
    from divsyn_jax.base import json_text
    from divsyn_jax.endpoint.answers import parsing
    from divsyn_jax.endpoint.sending import completion
    from tests.endpoint.questions import question

    text = json.dumps(body)
    sent = {"messages": [{"role": "user", "content": "a b"}]}
    with contextlib.suppress(
        ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError
    ):  # what Transport.send makes a failed attempt
        reply = completion.reply(json_text.parse_json(text), sent)
        if reply is None:
            return
        assert 0 <= reply.prompt_tokens < 2**31
        assert 0 <= reply.completion_tokens < 2**31
        assert isinstance(reply.request_id, str | None)
        parsed = parsing.parse(reply.text, question(0))
        assert parsed.problems or parsed.value is not None
    parsed = parsing.parse(text, question(0))
    assert parsed.problems or json.dumps(parsed.value).encode("utf-8")


@fuzzed(
    st.dictionaries(
        st.text(max_size=5),
        JSON
        | st.fixed_dictionaries(
            {
                "dtype": st.sampled_from(["F32", "BF16", "F64", "I8"]) | JSON,
                "shape": st.lists(st.integers(-1, 3), max_size=3) | JSON,
                "data_offsets": st.lists(st.integers(-1, 40), min_size=2, max_size=2) | JSON,
            }
        ),
        max_size=3,
    )
    | altered(
        {
            "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
            "b": {"dtype": "BF16", "shape": [4], "data_offsets": [24, 32]},
            "__metadata__": {"format": "pt"},
        }
    )
    | JSON,
    st.binary(max_size=40) | st.just(bytes(32)),
)
def test_safetensors_headers(header, data):
    pytest.importorskip("jax")
    from divsyn_jax.huggingface import tensor_files

    text = json.dumps(header).encode()
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "model.safetensors")
        path.write_bytes(len(text).to_bytes(8, "little") + text + data)
        with one_line():
            for shape, read in tensor_files.open_tensors(pathlib.Path(folder)).values():
                value = read()
                assert value.shape == shape
                assert value.dtype == np.float32


def _gguf() -> bytes:
    from tests.huggingface import test_gguf

    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "a.gguf")
        test_gguf.write_gguf(path, "llama", test_gguf.random_weights("llama"))
        return path.read_bytes()


@fuzzed(st.data())
def test_gguf_files(data):
    pytest.importorskip("jax")
    pytest.importorskip("gguf")
    from divsyn_jax.huggingface import gguf_tokenizer
    from divsyn_jax.huggingface.gguf_checkpoint import GgufCheckpoint

    whole = _once(_gguf)
    # Nearly all of the file is weights, of which every value is as good as another.
    header = data.draw(mutated(whole[:9_000]) | mutated(whole[:300]).map(lambda b: b + whole[300:]))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "a.gguf")
        path.write_bytes(header + data.draw(st.sampled_from([b"", whole[9_000:]])))
        with one_line():
            checkpoint = GgufCheckpoint(path)
            for shape, read in checkpoint.tensors.values():
                assert read().shape == shape
            gguf_tokenizer.write_gguf_tokenizer(checkpoint.header, 64, pathlib.Path(folder))


CONFIG = {
    "architectures": ["LlamaForCausalLM"],
    "vocab_size": 64,
    "hidden_size": 16,
    "intermediate_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "rope_scaling": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32,
    },
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
    "hidden_act": "silu",
    "attention_bias": False,
}


@fuzzed(
    st.sampled_from(["llama", "mistral", "qwen2", "qwen3"]),
    st.dictionaries(
        st.sampled_from(
            [
                "model_type",
                "vocab_size",
                "hidden_size",
                "intermediate_size",
                "num_hidden_layers",
                "num_attention_heads",
                "num_key_value_heads",
                "head_dim",
                "rms_norm_eps",
                "rope_theta",
                "rope_parameters",
                "rope_scaling",
                "sliding_window",
                "use_sliding_window",
                "layer_types",
                "max_position_embeddings",
                "tie_word_embeddings",
            ]
        ),
        JSON | st.integers(1, 64),
    )
    | altered(CONFIG),
)
def test_model_configs(kind, config):
    pytest.importorskip("jax")
    from divsyn_jax.huggingface import architectures

    with one_line():
        architectures.from_config({"model_type": kind, **config}, "config.json")


@fuzzed(st.data())
def test_tokenizers(data):
    pytest.importorskip("transformers")
    from divsyn_jax.data import tokenizer

    valid = valid_files.tokenizer_files()
    name = data.draw(st.sampled_from(sorted(valid)))
    any_json = JSON.map(lambda value: json.dumps(value).encode())
    content = data.draw(
        st.binary(max_size=300) | any_json | mutated(valid[name]) | _altered_json(name, valid)
    )
    others = {} if name == "tokenizer.model" else valid
    with tempfile.TemporaryDirectory() as folder:
        for other in others.keys() - {"tokenizer.model", "unigram.json"}:
            pathlib.Path(folder, other).write_bytes(valid[other])
        pathlib.Path(folder, name.replace("unigram", "tokenizer")).write_bytes(content)
        with one_line():
            loaded = tokenizer.load_tokenizer(folder if not others else f"hf:{folder}")
            (ids,) = loaded.encode(["a bad cab\u20ac <|im_end|>"])
            loaded.decode(ids)


def _altered_json(name: str, valid: dict[str, bytes]) -> st.SearchStrategy[bytes]:
    if not name.endswith(".json"):
        return st.nothing()
    return altered(json.loads(valid[name])).map(lambda value: json.dumps(value).encode())


@fuzzed(st.sampled_from(["config.json", "manifest.json", "DONE", "eval.json"]), st.data())
def test_run_and_shard_directories(name, data):
    pytest.importorskip("transformers")
    from divsyn_jax.data.shards import ShardedWindows
    from divsyn_jax.training import trained_run

    made = valid_files.shards_folder() if name == "manifest.json" else valid_files.run_folder()
    content = st.binary(max_size=50) | JSON.map(lambda value: json.dumps(value).encode())
    if (made / name).exists():
        valid = json.loads((made / name).read_text())
        content |= altered(valid).map(lambda value: json.dumps(value).encode())
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "copy")
        shutil.copytree(made, path, ignore=shutil.ignore_patterns("checkpoints"))
        (path / name).write_bytes(data.draw(content))
        with one_line():
            files.read_json(path / name)
        if name == "manifest.json":
            with one_line():
                windows = ShardedWindows(str(path))
                for place in range(min(len(windows), 20)):
                    windows[place]
        else:
            with one_line():
                trained_run.open_run(path)


FEATURES = {
    "pythonClassName": "tensorflow_datasets.core.features.features_dict.FeaturesDict",
    "featuresDict": {
        "features": {
            "text": {
                "pythonClassName": "tensorflow_datasets.core.features.text_feature.Text",
                "text": {},
            },
            "topics": {
                "pythonClassName": "tensorflow_datasets.core.features.sequence_feature.Sequence",
                "sequence": {"feature": {"pythonClassName": "a.b"}, "length": "-1"},
            },
        }
    },
}


@fuzzed(JSON | altered(FEATURES))
def test_tfds_features(value):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "features.json")
        path.write_text(json.dumps(value))
        with one_line():
            tfds_features.check_file(path)


@fuzzed(st.data())
def test_score_records(data):
    from absl import flags

    from divsyn_jax.diversity.comparing import compare_scores

    made = valid_files.score_folder()
    value = data.draw(altered(json.loads((made / "score.json").read_text())))
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "edited")
        path.mkdir()
        (path / "score.json").write_text(json.dumps(value))
        written = [f"--card={folder}/card.md", f"--badge={folder}/badge.json"]
        flags.FLAGS(["compare", *written])
        with one_line(), contextlib.redirect_stdout(io.StringIO()):
            compare_scores.main([str(made), str(path)])
