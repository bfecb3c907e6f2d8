"""GGUF files become runs: the parameters and tokens of the checkpoint that they were made of."""

import dataclasses
import json
import struct

import numpy as np
import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.huggingface.exchange import import_checkpoint
from divsyn_jax.huggingface.gguf_checkpoint import GgufCheckpoint
from divsyn_jax.huggingface.gguf_header import read_gguf_header
from divsyn_jax.huggingface.tensor_files import write_tensors
from divsyn_jax.training import trained_run

gguf = pytest.importorskip("gguf")

HIDDEN, INTERMEDIATE, LAYERS, HEADS, KV_HEADS, HEAD_DIM = 64, 96, 2, 4, 2, 16
BYTES = [chr(c) for c in (*range(33, 127), *range(161, 173), *range(174, 256))]
BYTES += [chr(256 + rank) for rank in range(256 - len(BYTES))]
MERGES = ["h e", "l l", "he ll", "hell o", "Ġ hello"]
CONTROL = ["<|end|>", "<|open|>"]
TOKENS = [*CONTROL, *BYTES, *(merge.replace(" ", "") for merge in MERGES)]
TEMPLATE = "{% for m in messages %}{{ '<|open|>' + m['content'] + '<|end|>' }}{% endfor %}"


def random_weights(kind: str) -> dict[str, np.ndarray]:
    """Tensors under the names of transformers."""
    random = np.random.default_rng(0)

    def of(*shape):
        return random.normal(0, 0.1, shape).astype(np.float32)

    found = {"model.embed_tokens.weight": of(len(TOKENS), HIDDEN), "model.norm.weight": of(HIDDEN)}
    for layer in range(LAYERS):
        place = f"model.layers.{layer}."
        for name, shape in (
            ("input_layernorm", (HIDDEN,)),
            ("post_attention_layernorm", (HIDDEN,)),
            ("self_attn.q_proj", (HEADS * HEAD_DIM, HIDDEN)),
            ("self_attn.k_proj", (KV_HEADS * HEAD_DIM, HIDDEN)),
            ("self_attn.v_proj", (KV_HEADS * HEAD_DIM, HIDDEN)),
            ("self_attn.o_proj", (HIDDEN, HEADS * HEAD_DIM)),
            ("mlp.gate_proj", (INTERMEDIATE, HIDDEN)),
            ("mlp.up_proj", (INTERMEDIATE, HIDDEN)),
            ("mlp.down_proj", (HIDDEN, INTERMEDIATE)),
        ):
            found[f"{place}{name}.weight"] = of(*shape)
            if kind == "qwen2" and name[-6:-5] in "qkv" and name.startswith("self_attn."):
                found[f"{place}{name}.bias"] = of(shape[0])
        if kind == "qwen3":
            found[f"{place}self_attn.q_norm.weight"] = of(HEAD_DIM)
            found[f"{place}self_attn.k_norm.weight"] = of(HEAD_DIM)
    found["lm_head.weight"] = of(len(TOKENS), HIDDEN)
    return found


OF_GGUF = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def write_gguf(path, kind, weights, quantisation="F32", **values):
    """As llama.cpp's converter writes a checkpoint."""
    writer = gguf.GGUFWriter(path, kind)
    writer.add_context_length(64)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INTERMEDIATE)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(HEAD_DIM)
    writer.add_rope_freq_base(5000.0)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_tokenizer_model(values.pop("tokenizer", "gpt2"))
    writer.add_tokenizer_pre(values.pop("pre", "smollm"))
    writer.add_token_list(TOKENS)
    writer.add_token_types([3] * len(CONTROL) + [1] * (len(TOKENS) - len(CONTROL)))
    writer.add_token_merges(MERGES)
    writer.add_eos_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_chat_template(TEMPLATE)
    for key, value in values.items():
        writer.add_key_value(key, value, gguf.GGUFValueType.get_type(value))
    for name, tensor in weights.items():
        stem, _, end = name.rpartition(".")
        if stem.startswith("model.layers."):
            _, _, layer, part = stem.split(".", 3)
            short = f"blk.{layer}.{OF_GGUF[part]}.{end}"
        else:
            part, short = stem, f"{OF_GGUF.get(stem, stem)}.{end}"
        if kind == "llama" and part in ("self_attn.q_proj", "self_attn.k_proj"):
            heads = HEADS if part == "self_attn.q_proj" else KV_HEADS
            halves = tensor.reshape(heads, 2, HEAD_DIM // 2, -1)
            tensor = np.ascontiguousarray(halves.swapaxes(1, 2).reshape(tensor.shape))
        as_kind = quantisation if tensor.ndim == 2 else "F32"
        chosen = gguf.GGMLQuantizationType[as_kind]
        if as_kind == "F32":
            writer.add_tensor(short, tensor)
        else:
            writer.add_tensor(short, gguf.quants.quantize(tensor, chosen), raw_dtype=chosen)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _checkpoint(folder, kind, weights, tokenizer):
    """The same as a Hugging Face directory."""
    folder.mkdir()
    config = {
        "model_type": kind,
        "vocab_size": len(TOKENS),
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_DIM,
        "rms_norm_eps": 1e-5,
        "rope_theta": 5000.0,
        "max_position_embeddings": 64,
        "tie_word_embeddings": "lm_head.weight" not in weights,
    }
    (folder / "config.json").write_text(json.dumps(config))
    shapes = {name: tensor.shape for name, tensor in weights.items()}
    write_tensors(folder, shapes, iter(weights.items()), 1 << 30)
    for file in tokenizer.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())


def _parameters(workdir):
    import jax

    run = trained_run.open_run(workdir)
    params, _ = run.load_params(run.inference_mesh())
    return {
        jax.tree_util.keystr(path): np.asarray(leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(params)
    }


@pytest.mark.parametrize("kind", ["llama", "qwen2", "qwen3"])
def test_parameters_and_shape_are_those_of_the_checkpoint(tmp_path, kind):
    weights = random_weights(kind)
    if kind == "qwen3":
        del weights["lm_head.weight"]
    write_gguf(tmp_path / "m.gguf", kind, weights)
    import_checkpoint(tmp_path / "m.gguf", tmp_path / "of_gguf")
    _checkpoint(tmp_path / "hf", kind, weights, tmp_path / "of_gguf" / "tokenizer")
    import_checkpoint(tmp_path / "hf", tmp_path / "of_hf")
    found, expected = (_parameters(tmp_path / name) for name in ("of_gguf", "of_hf"))
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert np.array_equal(found[name], value), name
    shapes = [trained_run.read_recipe(tmp_path / name).model for name in ("of_gguf", "of_hf")]
    assert shapes[0] == shapes[1]


@pytest.mark.parametrize("quantisation", ["Q8_0", "Q4_1", "F16"])
def test_quantised_weights_are_dequantised(tmp_path, quantisation):
    weights = random_weights("qwen2")
    write_gguf(tmp_path / "m.gguf", "qwen2", weights, quantisation)
    import_checkpoint(tmp_path / "m.gguf", tmp_path / "run")
    kind = gguf.GGMLQuantizationType[quantisation]
    embedding = weights["model.embed_tokens.weight"]
    expected = gguf.quants.dequantize(gguf.quants.quantize(embedding, kind), kind)
    found = _parameters(tmp_path / "run")["['embedding']"]
    assert np.array_equal(found, expected)
    assert 0 < np.abs(found - embedding).max() < 0.1


def test_the_tokenizer_cuts_digits_and_keeps_its_control_tokens(tmp_path):
    write_gguf(tmp_path / "m.gguf", "qwen2", random_weights("qwen2"))
    import_checkpoint(tmp_path / "m.gguf", tmp_path / "run")
    tokenizer = trained_run.open_run(tmp_path / "run").tokenizer
    (ids,) = tokenizer.encode(["hello hello 12é"])
    assert [TOKENS[i] for i in ids] == ["hello", "Ġhello", "Ġ", "1", "2", "Ã", "©"]
    assert (tokenizer.eos_id, tokenizer.bos_id, tokenizer.puts_bos) == (0, 1, False)
    (rendered,) = tokenizer.encode_rendered(["<|open|>hello<|end|>"])
    assert [TOKENS[i] for i in rendered] == ["<|open|>", "hello", "<|end|>"]
    assert (tmp_path / "run" / "tokenizer" / "chat_template.jinja").read_text() == TEMPLATE


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        ("gemma", {}, "general.architecture='gemma'"),
        ("llama", {"llama.rope.scaling.type": "yarn"}, "rope.scaling.type='yarn'"),
        ("llama", {"tokenizer": "llama"}, "tokenizer.ggml.model='llama'"),
        ("llama", {"pre": "tekken"}, "tokenizer.ggml.pre='tekken'"),
        # A factor without a type is linear scaling in llama.cpp.
        ("llama", {"llama.rope.scaling.factor": 4.0}, "rope.scaling.factor='4.0'"),
        ("llama", {"llama.rope.scale_linear": 4.0}, "rope.scale_linear='4.0'"),
        ("llama", {"llama.rope.scaling.type": [1, 2]}, "rope.scaling.type"),
        ("llama", {"llama.expert_count": 8}, "expert_count='8'"),
        ("llama", {"llama.expert_count": [1, 2]}, "expert_count"),
        ("llama", {"llama.attention.causal": False}, "attention.causal='False'"),
        ("llama", {"llama.attention.sliding_window": 16}, "attention.sliding_window=16"),
        ("llama", {"llama.logit_scale": 2.0}, "logit_scale='2.0'"),
        ("llama", {"llama.attention.scale": 0.5}, "attention.scale='0.5'"),
        ("llama", {"tokenizer.ggml.add_bos_token": "false"}, "add_bos_token='false'"),
    ],
)
def test_what_cannot_be_computed_is_refused_by_name(tmp_path, kind, values, words):
    write_gguf(tmp_path / "m.gguf", kind, random_weights("llama"), **values)
    with pytest.raises(UserError, match=words):
        import_checkpoint(tmp_path / "m.gguf", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_keys_that_change_nothing_are_read(tmp_path):
    values = {"rope.scaling.factor": 1.0, "attention.sliding_window": 64, "attention.causal": True}
    values = {f"qwen2.{key}": value for key, value in values.items()}
    write_gguf(tmp_path / "m.gguf", "qwen2", random_weights("qwen2"), **values)
    import_checkpoint(tmp_path / "m.gguf", tmp_path / "run")


@pytest.mark.parametrize(
    ("key", "kind", "value", "words"),
    [
        ("general.architecture", "ARRAY", [1, 2], "general.architecture="),
        ("tokenizer.chat_template", "UINT32", 3, "tokenizer.chat_template='3'"),
        ("tokenizer.ggml.eos_token_id", None, None, "no EOS token"),
    ],
)
def test_odd_metadata_are_one_line_that_names_the_file(
    tmp_path, monkeypatch, key, kind, value, words
):
    put = gguf.GGUFWriter.add_key_value

    def odd(self, name, *given, **named):
        if name != key:
            return put(self, name, *given, **named)
        return put(self, key, value, gguf.GGUFValueType[kind]) if kind else None

    monkeypatch.setattr(gguf.GGUFWriter, "add_key_value", odd)
    path = tmp_path / "m.gguf"
    write_gguf(path, "llama", random_weights("llama"))
    with pytest.raises(UserError, match=words) as refused:
        import_checkpoint(path, tmp_path / "run")
    assert str(path) in str(refused.value)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [("rope_freqs", "not those of Llama 3"), ("blk.00.attn_q", "'blk.00.attn_q.weight' has no")],
)
def test_tensors_under_odd_names_or_without_numbers_are_refused(tmp_path, name, words):
    weights = {**random_weights("llama"), f"{name}.weight": np.ones((0,), np.float32)}
    write_gguf(tmp_path / "m.gguf", "llama", weights)
    with pytest.raises(UserError, match=words):
        import_checkpoint(tmp_path / "m.gguf", tmp_path / "run")


def test_rows_that_no_block_fits_and_a_missing_embedding_are_named(tmp_path):
    write_gguf(tmp_path / "m.gguf", "llama", random_weights("llama"))
    checkpoint = GgufCheckpoint(tmp_path / "m.gguf")
    entry = checkpoint.header.tensors["output.weight"]
    q4_k = gguf.GGMLQuantizationType.Q4_K.value
    with pytest.raises(UserError, match="rows of 64, which Q4_K cannot hold in blocks of 256"):
        checkpoint._check_place(dataclasses.replace(entry, kind=q4_k))
    weights = random_weights("llama")
    del weights["model.embed_tokens.weight"]
    write_gguf(tmp_path / "m.gguf", "llama", weights)
    with pytest.raises(UserError, match=r"'token_embd.weight' is missing"):
        GgufCheckpoint(tmp_path / "m.gguf")


def test_a_tensor_that_the_model_has_no_place_for_is_refused(tmp_path):
    weights = {**random_weights("llama"), "strange.weight": np.ones((4,), np.float32)}
    write_gguf(tmp_path / "m.gguf", "llama", weights)
    with pytest.raises(UserError, match="'strange.weight' has no place"):
        import_checkpoint(tmp_path / "m.gguf", tmp_path / "run")


def _string(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


HUGE = 1 << 60
HOSTILE = {
    "empty": b"",
    "no magic": b"GGML" + bytes(40),
    "version": b"GGUF" + struct.pack("<IQQ", 9, 0, 0),
    "keys without end": b"GGUF" + struct.pack("<IQQ", 3, 0, HUGE),
    "tensors without end": b"GGUF" + struct.pack("<IQQ", 3, HUGE, 0),
    "long key": b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, HUGE),
    "long array": b"GGUF"
    + struct.pack("<IQQ", 3, 0, 1)
    + _string(b"a")
    + struct.pack("<IIQ", 9, 0, HUGE),
    "array past the end": b"GGUF"
    + struct.pack("<IQQ", 3, 0, 1)
    + _string(b"a")
    + struct.pack("<IIQ", 9, 0, 4_000_000),
    "nested array": b"GGUF"
    + struct.pack("<IQQ", 3, 0, 1)
    + _string(b"a")
    + struct.pack("<IIQ", 9, 9, 1),
    "key that is no text": b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + _string(b"\xff\xfe"),
    "a key twice": b"GGUF"
    + struct.pack("<IQQ", 3, 0, 2)
    + 2 * (_string(b"a") + struct.pack("<II", 4, 7)),
    "a tensor twice": b"GGUF"
    + struct.pack("<IQQ", 3, 2, 0)
    + 2 * (_string(b"t") + struct.pack("<IQIQ", 1, 8, 0, 0)),
    "alignment": b"GGUF"
    + struct.pack("<IQQ", 3, 0, 1)
    + _string(b"general.alignment")
    + struct.pack("<I?", 7, True),
    "alignment that is no power of two": b"GGUF"
    + struct.pack("<IQQ", 3, 0, 1)
    + _string(b"general.alignment")
    + struct.pack("<II", 4, 7),
    "dimensions": b"GGUF"
    + struct.pack("<IQQ", 3, 1, 0)
    + _string(b"t")
    + struct.pack("<I", 1 << 30),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_header_is_one_line(tmp_path, name):
    path = tmp_path / "m.gguf"
    path.write_bytes(HOSTILE[name])
    with pytest.raises(UserError, match="not a whole GGUF file") as refused:
        read_gguf_header(path)
    assert "\n" not in str(refused.value)


def test_a_tensor_outside_the_file_is_refused(tmp_path):
    write_gguf(tmp_path / "m.gguf", "llama", random_weights("llama"))
    whole = (tmp_path / "m.gguf").read_bytes()
    (tmp_path / "m.gguf").write_bytes(whole[:-5000])
    with pytest.raises(UserError, match="lies outside the file"):
        import_checkpoint(tmp_path / "m.gguf", tmp_path / "run")
