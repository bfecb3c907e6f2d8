"""Checkpoints of strangers: sizes are compared before anything is made, files stay in place."""

import json
import os
import shutil
import time

import numpy as np
import pytest

pytest.importorskip("jax")

from divsyn_jax.base.commandline import UserError
from divsyn_jax.base.contained_files import contained
from divsyn_jax.data import shards, tokenizer
from divsyn_jax.huggingface import exchange, tensor_files, tokenizer_files
from divsyn_jax.training import trained_run

CONFIG = {
    "model_type": "llama",
    "vocab_size": 8,
    "hidden_size": 4,
    "intermediate_size": 6,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "rms_norm_eps": 1e-5,
    "max_position_embeddings": 16,
    "tie_word_embeddings": True,
}
SHAPES = {
    "model.embed_tokens.weight": (8, 4),
    "model.layers.0.input_layernorm.weight": (4,),
    "model.layers.0.self_attn.q_proj.weight": (4, 4),
    "model.layers.0.self_attn.k_proj.weight": (4, 4),
    "model.layers.0.self_attn.v_proj.weight": (4, 4),
    "model.layers.0.self_attn.o_proj.weight": (4, 4),
    "model.layers.0.post_attention_layernorm.weight": (4,),
    "model.layers.0.mlp.gate_proj.weight": (6, 4),
    "model.layers.0.mlp.up_proj.weight": (6, 4),
    "model.layers.0.mlp.down_proj.weight": (4, 6),
    "model.norm.weight": (4,),
}


@pytest.fixture
def checkpoint(tmp_path):
    """A whole checkpoint, but for its tokenizer."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(CONFIG))
    tensors = ((name, np.ones(shape, np.float32)) for name, shape in SHAPES.items())
    tensor_files.write_tensors(folder, SHAPES, tensors, 1 << 30)
    return folder


def refused(folder, *fragments):
    with pytest.raises(UserError) as raised:
        exchange.import_checkpoint(folder, folder.parent / "run")
    assert not (folder.parent / "run").exists()
    assert len(str(raised.value)) < 1000
    for fragment in fragments:
        assert fragment in str(raised.value)


def test_the_fixture_fails_by_its_tokenizer_alone(checkpoint):
    refused(checkpoint, "no tokenizer")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("num_attention_heads", 0),
        ("hidden_size", -16),
        ("hidden_size", "16"),
        ("hidden_size", 4.0),
        ("vocab_size", True),
        ("intermediate_size", None),
        ("num_hidden_layers", [1]),
        ("num_key_value_heads", -1),
        ("head_dim", {}),
        ("max_position_embeddings", 2**40),
        ("rms_norm_eps", "small"),
        ("rms_norm_eps", -1),
        ("rope_theta", {"a": 1}),
        ("rope_parameters", [1]),
        ("rope_parameters", {"rope_theta": "x"}),
        ("rope_scaling", 8),
        ("rope_scaling", [1]),
        ("tie_word_embeddings", "yes"),
        ("hidden_size", 10**400),
        ("num_hidden_layers", 10**5),
        ("num_hidden_layers", 10**9),
        ("hidden_size", 2**30),
        ("vocab_size", 10**9),
        ("intermediate_size", 10**9),
        ("model_type", ["llama"]),
        ("hidden_act", {}),
        ("rope_theta", None),
        ("rope_theta", 1e-40),
        ("rope_scaling", {"rope_theta": "x"}),
        ("rope_parameters", {"rope_theta": None}),
        ("rope_parameters", {"rope_type": 7}),
        ("rope_parameters", {"rope_type": None}),
        ("rope_parameters", {"type": ["default"]}),
        ("sliding_window", "16"),
        ("layer_types", {}),
        ("layer_types", []),
        ("layer_types", ["full_attention"] * 2),
        ("is_causal", False),
    ],
)
def test_an_odd_config_is_one_line_and_no_work(checkpoint, key, value):
    started = time.process_time()
    (checkpoint / "config.json").write_text(json.dumps({**CONFIG, key: value}))
    refused(checkpoint)
    assert time.process_time() - started < 60  # 10^6 layers took over 45 s to be counted


@pytest.mark.parametrize("text", ["[" * 200_000, "[1, 2]", "null", "", "\x00", '{"a": NaN}'])
def test_a_config_that_is_none_is_one_line(checkpoint, text):
    (checkpoint / "config.json").write_text(text)
    refused(checkpoint, "config.json")


def tensor_file(folder, header, data=b"\0" * 8, length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    size = (len(text) if length is None else length).to_bytes(8, "little")
    (folder / "model.safetensors").write_bytes(size + text + data)


ENTRY = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
HEADERS = {
    "list": [1, 2],
    "deep": b"[" * 200_000,
    "no offsets": {"a": {"dtype": "F32", "shape": [2]}},
    "no entry": {"a": 7},
    "no dtype": {"a": {"shape": [2], "data_offsets": [0, 8]}},
    "odd dtype": {"a": {**ENTRY, "dtype": ["F32"]}},
    "ints": {"a": {**ENTRY, "dtype": "I64"}},
    "huge shape": {"a": {**ENTRY, "shape": [10**9, 10**9]}},
    "negative": {"a": {**ENTRY, "shape": [-1, -2]}},
    "floats": {"a": {**ENTRY, "shape": [2.0]}},
    "no list": {"a": {**ENTRY, "shape": 2}},
    "backwards": {"a": {**ENTRY, "data_offsets": [8, 0]}},
    "three": {"a": {**ENTRY, "data_offsets": [0, 4, 8]}},
    "overlap": {"a": ENTRY, "b": ENTRY},
    "hole": {"a": {**ENTRY, "shape": [1], "data_offsets": [4, 8]}},
    "empty": {},
    "metadata only": {"__metadata__": {"a": "b"}},
}


@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS.keys())
def test_an_odd_header_is_one_line(checkpoint, header):
    tensor_file(checkpoint, header)
    refused(checkpoint, "model.safetensors")


@pytest.mark.parametrize("length", [0, 1, 2**40, 2**60, 2**63])
def test_a_header_of_a_claimed_length_is_one_line(checkpoint, length):
    tensor_file(checkpoint, {"a": ENTRY}, length=length)
    refused(checkpoint, "model.safetensors")


def test_a_tensor_that_stands_in_two_files_is_refused(checkpoint):
    single = checkpoint / "model.safetensors"
    shutil.copy(single, checkpoint / "b.safetensors")
    single.rename(checkpoint / "a.safetensors")
    weight_map = dict.fromkeys(SHAPES, "a.safetensors") | {"model.norm.weight": "b.safetensors"}
    index = checkpoint / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    refused(checkpoint, "b.safetensors: tensor", "stands in another file")


@pytest.mark.parametrize(
    "weight_map",
    [
        {"a": "../../../../../../etc/hostname"},
        {"a": "/etc/hostname"},
        {"a": "sub/model.safetensors"},
        {"a": ".."},
        {"a": ""},
        {"a": "a\0b"},
        {"a": ["model.safetensors"]},
        {"a": {}},
        {"a": 7},
        ["model.safetensors"],
        {},
        7,
    ],
)
def test_an_index_names_files_beside_it(checkpoint, weight_map):
    index = checkpoint / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": weight_map}))
    refused(checkpoint, "index.json")
    index.write_text(json.dumps([weight_map]))
    refused(checkpoint, "index.json")


def test_two_checkpoints_in_one_folder_are_refused(checkpoint):
    shutil.copy(checkpoint / "model.safetensors", checkpoint / "other.safetensors")
    index = checkpoint / "model.safetensors.index.json"
    for name, why in (("other", "names other files"), ("model", "no tokenizer")):
        index.write_text(json.dumps({"weight_map": {"a": f"{name}.safetensors"}}))
        refused(checkpoint, why)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_links_out_of_the_folder_are_refused(checkpoint, tmp_path, name):
    os.rename(checkpoint / name, tmp_path / "elsewhere")
    (checkpoint / name).symlink_to("../elsewhere")
    refused(checkpoint, name, "a link that leaves its folder")


@pytest.mark.parametrize("name", ["chat_template.jinja", "tokenizer_config.json", "vocab.json"])
def test_a_secret_is_not_copied_through_a_link(tokenizer_dir, tmp_path, name):
    (tmp_path / "secret_key").write_text("secret")
    source = tmp_path / "theirs"
    source.mkdir()
    (source / "tokenizer.model").write_bytes((tokenizer_dir / "tokenizer.model").read_bytes())
    (source / name).symlink_to("../secret_key")
    with pytest.raises(UserError, match="a link that leaves its folder"):
        tokenizer_files.import_files(source, tmp_path / "run")
    if name == "chat_template.jinja":
        (tmp_path / "out").mkdir()
        loaded = tokenizer.load_tokenizer(str(source))
        with pytest.raises(UserError, match="a link that leaves its folder"):
            tokenizer_files.export(source, loaded, 16, tmp_path / "out")
    for path in tmp_path.rglob("*"):
        if path.is_file() and not path.is_symlink() and path.name != "secret_key":
            assert path.read_bytes() != b"secret"


def test_links_of_the_hubs_cache_are_taken(tmp_path):
    snapshot = tmp_path / "models--a--b" / "snapshots" / "0123"
    blobs = tmp_path / "models--a--b" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    (blobs / "hash").write_text("{}")
    (snapshot / "config.json").symlink_to("../../blobs/hash")
    assert contained(snapshot, "config.json", "x").read_text() == "{}"
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "hash").write_text("secret")
    (blobs / "hash").unlink()
    blobs.rmdir()
    blobs.symlink_to("../secret")
    with pytest.raises(UserError, match="leaves its folder"):
        contained(snapshot, "config.json", "x")


def test_pipes_devices_and_loops_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "gone").symlink_to("nothing")
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "folder").mkdir()
    for name in ("pipe", "loop", "gone", "zero", "folder", "\udcff", "x" * 5000):
        with pytest.raises(UserError):
            contained(tmp_path, name, "x")


def test_a_manifest_names_shards_beside_it(tmp_path):
    (tmp_path / "shards").mkdir()
    (tmp_path / "secret.array_record").write_bytes(b"1234")
    manifest = {
        "format": 1,
        "seq_len": 4,
        "packing": "concat",
        "dtype": "<u2",
        "tokenizer": {"sha256": "x", "vocab_size": 16},
        "windows": 1,
        "targets": 1,
        "shards": [
            {
                "file": "../secret.array_record",
                "windows": 1,
                "targets": 1,
                "bytes": 4,
                "sha256": "x",
            }
        ],
    }
    (tmp_path / "shards" / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(UserError, match="no name of a file beside it"):
        shards.ShardedWindows(tmp_path / "shards")


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"\xff" * 1000, b"\x0a\x05abc"])
def test_a_tokenizer_that_is_none_is_one_line(tmp_path, content):
    (tmp_path / "tokenizer.model").write_bytes(content)
    with pytest.raises(UserError, match="tokenizer.model"):
        tokenizer.load_tokenizer(str(tmp_path))
    with pytest.raises(UserError, match="tokenizer.model"):
        tokenizer_files._from_sentencepiece(str(tmp_path / "tokenizer.model"))


def test_a_pattern_that_never_ends_is_one_line(tmp_path):
    """Onig gives up on such a pattern; the Rust library panics, which is no Exception."""
    pytest.importorskip("transformers")
    added = {
        "id": 0,
        "content": "</s>",
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
    words = {"type": "Split", "pattern": {"Regex": "(a+)+$"}, "behavior": "Isolated"}
    definition = {
        "version": "1.0",
        "added_tokens": [added],
        "pre_tokenizer": {**words, "invert": False},
        "model": {"type": "BPE", "vocab": {"</s>": 0, "a": 1, "b": 2}, "merges": []},
    }
    (tmp_path / "tokenizer.json").write_text(json.dumps(definition))
    config = {"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "</s>"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    loaded = tokenizer.load_tokenizer(f"hf:{tmp_path}")
    with pytest.raises(UserError, match="cannot cut this text up .*retry-limit"):
        loaded.encode(["a" * 40 + "b"])


@pytest.fixture(scope="module")
def imported(tmp_path_factory):
    """A run directory, imported from a GGUF file of random weights."""
    pytest.importorskip("gguf")
    from tests.huggingface.test_gguf import random_weights, write_gguf

    folder = tmp_path_factory.mktemp("imported")
    write_gguf(folder / "m.gguf", "llama", random_weights("llama"))
    exchange.import_checkpoint(folder / "m.gguf", folder / "run")
    return folder / "run"


@pytest.mark.parametrize(
    "content", [b"[" * 200_000, b"1e999", b"", b"{}"], ids=["deep", "number", "empty", "object"]
)
@pytest.mark.parametrize(
    "file", ["_CHECKPOINT_METADATA", "params/_METADATA", "params/array_metadatas/process_0"]
)
def test_damaged_metadata_of_a_checkpoint_are_one_line_or_not_needed(
    imported, tmp_path, file, content
):
    shutil.copytree(imported, tmp_path / "run")
    (place,) = (tmp_path / "run" / "checkpoints").glob(f"*/{file}")
    place.write_bytes(content)
    said = ""
    try:
        run = trained_run.open_run(tmp_path / "run")
        run.load_params(run.inference_mesh())
    except UserError as refused:
        said = str(refused)
    assert not said or ("cannot be read" in said and "\n" not in said)
