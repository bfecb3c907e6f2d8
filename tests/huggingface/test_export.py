"""Exchange with transformers:

the same logits and ids there, identical bytes after a round trip, refusals by name.
"""

import gzip
import json
import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data import tokenizer as tokenizers
from divsyn_jax.huggingface import tensor_files, tokenizer_files
from divsyn_jax.huggingface.exchange import export_run, import_checkpoint
from divsyn_jax.model import decoder, sharding
from divsyn_jax.training import run_directory, trained_run
from tests.conftest import ROOT, fails_with_one_line, small_texts
from tests.hugging_face_tokenizers import CHATML, make_tokenizer
from tests.trained_runs import make_run

TRICKY = [
    *(
        "",
        " ",
        "  ",
        "\n",
        "a",
        " a",
        "a ",
        "  two  spaces\t\ttabs \n\n newlines\r\n",
        "<s>text</s> <unk> <0x41> [/INST]",
    ),
    *(
        "naïve café, 漢字かな, Привет, عربى, 😀👩‍👩‍👧",
        "no\u00a0break\u2003em\u200bzero",
        "\x00\x01\x7f",
        "▁ is U+2581 ▁▁",
        "e\u0301 ﬁ Ａ",
    ),
]


def logits_of(workdir: pathlib.Path, tokens) -> np.ndarray:
    run = trained_run.open_run(workdir)
    mesh = sharding.make_mesh(run.recipe.mesh, jax.devices()[:1])
    params, _ = run.load_params(mesh)
    return np.asarray(decoder.logits(run.inference_model, params, tokens))


def tensor_bytes(folder: pathlib.Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.safetensors*"))}


@pytest.mark.long
@pytest.mark.parametrize(("tied", "kv_heads"), [(False, 2), (True, 4), (True, 1)])
def test_exported_logits_equal_ours(tmp_path, tokenizer_dir, tied, kv_heads):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    workdir = make_run(
        tmp_path / "run",
        tokenizer_dir,
        tied=tied,
        kv_heads=kv_heads,
        rope_theta=5000.0,
        norm_eps=1e-4,
    )
    export_run(workdir, tmp_path / "hf", max_file_bytes=50_000)
    assert len(list((tmp_path / "hf").glob("*.safetensors"))) > 3
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "hf")
    tokens = np.random.default_rng(0).integers(0, 400, (2, 60))
    with torch.no_grad():
        expected = theirs(torch.tensor(tokens)).logits.numpy()
    found = logits_of(workdir, tokens)
    assert np.max(np.abs(found - expected)) < 1e-4 * np.max(np.abs(expected))
    assert (
        theirs.generation_config.eos_token_id == tokenizers.load_copy(workdir / "tokenizer").eos_id
    )


def test_export_import_export_is_identical(tmp_path, tokenizer_dir):
    workdir = make_run(tmp_path / "run", tokenizer_dir)
    export_run(workdir, tmp_path / "hf", max_file_bytes=50_000)
    import_checkpoint(tmp_path / "hf", tmp_path / "imported")
    export_run(tmp_path / "imported", tmp_path / "again", max_file_bytes=50_000)
    assert tensor_bytes(tmp_path / "again") == tensor_bytes(tmp_path / "hf")
    for name in (
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "tokenizer.model",
    ):
        assert (tmp_path / "again" / name).read_bytes() == (tmp_path / "hf" / name).read_bytes(), (
            name
        )


def test_files_are_what_the_safetensors_library_reads(tmp_path, tokenizer_dir):
    safetensors = pytest.importorskip("safetensors.numpy")
    workdir = make_run(tmp_path / "run", tokenizer_dir)
    export_run(workdir, tmp_path / "hf", max_file_bytes=1 << 30)
    theirs = safetensors.load_file(tmp_path / "hf" / tensor_files.SINGLE_FILE)
    ours = {name: read() for name, (_, read) in tensor_files.open_tensors(tmp_path / "hf").items()}
    assert theirs.keys() == ours.keys()
    for name, value in theirs.items():
        np.testing.assert_array_equal(value, ours[name])


def test_an_import_is_a_run_to_start_from(tmp_path, tokenizer_dir):
    workdir = make_run(tmp_path / "run", tokenizer_dir)
    export_run(workdir, tmp_path / "hf", max_file_bytes=1 << 30)
    import_checkpoint(tmp_path / "hf", tmp_path / "imported")
    run = trained_run.open_run(tmp_path / "imported")
    mesh = sharding.make_mesh(run.recipe.mesh, jax.devices()[:1])
    weights = [
        run_directory.initial_weights(
            source,
            run.abstract_params(mesh),
            tokenizers.load_tokenizer(str(tokenizer_dir)),
            run.recipe.model,
        )
        for source in (workdir, tmp_path / "imported")
    ]
    jax.tree.map(np.testing.assert_array_equal, *weights)


def test_a_16_bit_checkpoint_of_transformers_is_imported(tmp_path, tokenizer_dir):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    export_run(make_run(tmp_path / "run", tokenizer_dir), tmp_path / "hf", 1 << 30)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(
        tmp_path / "hf", dtype=torch.bfloat16
    )
    theirs.save_pretrained(tmp_path / "theirs")
    transformers.AutoTokenizer.from_pretrained(tmp_path / "hf").save_pretrained(tmp_path / "theirs")
    import_checkpoint(tmp_path / "theirs", tmp_path / "imported")
    tokens = np.random.default_rng(0).integers(0, 400, (1, 20))
    expected = theirs.float()(torch.tensor(tokens)).logits.detach().numpy()
    assert np.max(np.abs(logits_of(tmp_path / "imported", tokens) - expected)) < 1e-4 * np.max(
        np.abs(expected)
    )
    # The Hugging Face tokenizer stands in for ours: other files, the same ids.
    imported = tokenizers.load_copy(tmp_path / "imported" / "tokenizer")
    assert imported.encode(TRICKY) == tokenizers.load_tokenizer(str(tokenizer_dir)).encode(TRICKY)
    assert (imported.bos_id, imported.eos_id) == (1, 2)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"model_type": "gemma2"}, "model_type='gemma2'"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "rope_scaling"),
        ({"rope_parameters": {"type": "linear", "factor": 4.0}}, "rope_parameters"),
        ({"rope_parameters": {"factor": 4.0, "rope_theta": 1e4}}, "rope_parameters"),
        ({"rope_parameters": {"rope_type": "default", "type": "linear"}}, "rope_parameters"),
        ({"rope_parameters": "linear"}, "rope_parameters='linear'"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "rope_scaling"),
        ({"model_type": "mistral", "sliding_window": 8}, "sliding_window=8"),
        ({"model_type": "qwen2", "use_sliding_window": True}, "use_sliding_window"),
        ({"model_type": "qwen3", "layer_types": ["sliding_attention"]}, "layer_types"),
        ({"hidden_size": "32"}, "hidden_size='32'"),
        ({"rms_norm_eps": "small"}, "rms_norm_eps='small'"),
        ({"tie_word_embeddings": True}, "tie_word_embeddings=true"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 1e4}}, "rope_parameters"),
        (
            {"rope_parameters": {"rope_type": "default", "partial_rotary_factor": 0.5}},
            "partial_rotary_factor",
        ),
        ({"hidden_act": "gelu"}, "hidden_act='gelu'"),
        ({"attention_bias": True}, "attention_bias"),
        ({"head_dim": 64}, "q_proj.weight' is"),
        ({"head_dim": 13}, "head_width=13"),
        ({"num_hidden_layers": 4}, "'model.layers.3.input_layernorm.weight' is missing"),
        ({"num_hidden_layers": 2}, "has no place"),
        ({"intermediate_size": 81}, "mlp.gate_proj.weight"),
        ({"num_attention_heads": None}, "num_attention_heads is missing"),
    ],
)
def test_what_cannot_be_imported_is_refused_by_name(tmp_path, tokenizer_dir, change, named):
    export_run(make_run(tmp_path / "run", tokenizer_dir), tmp_path / "hf", 1 << 30)
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    config.update(change)
    config = {key: value for key, value in config.items() if value is not None}
    (tmp_path / "hf" / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="(?s).*" + named.replace("[", r"\[")):
        import_checkpoint(tmp_path / "hf", tmp_path / "imported")
    assert not (tmp_path / "imported").exists()


def test_damaged_files_are_named(tmp_path, tokenizer_dir):
    export_run(make_run(tmp_path / "run", tokenizer_dir), tmp_path / "hf", 1 << 30)
    file = tmp_path / "hf" / tensor_files.SINGLE_FILE
    file.write_bytes(file.read_bytes()[:-100])
    with pytest.raises(UserError, match="not a whole safetensors file"):
        import_checkpoint(tmp_path / "hf", tmp_path / "imported")
    file.unlink()
    with pytest.raises(UserError, match="only safetensors"):
        import_checkpoint(tmp_path / "hf", tmp_path / "imported")


def test_the_tokenizer_encodes_identically(tmp_path, tokenizer_dir):
    transformers = pytest.importorskip("transformers")
    export_run(make_run(tmp_path / "run", tokenizer_dir), tmp_path / "hf", 1 << 30)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")
    ours = tokenizers.load_tokenizer(str(tokenizer_dir))
    for text, ids in zip(TRICKY, ours.encode(TRICKY), strict=True):
        assert theirs(text)["input_ids"] == [ours.bos_id, *ids], text
        assert theirs.decode(ids, skip_special_tokens=True) == ours.decode(ids)


@pytest.mark.slow
def test_the_tokenizer_encodes_real_documents_identically(tmp_path, shared_data):
    transformers = pytest.importorskip("transformers")
    from divsyn_jax.data.tokenizer_trainer import train_tokenizer

    corpora = [
        str(shared_data / name) for name in ("real_wiki.jsonl.gz", "syn_code_alpaca_2k.jsonl.gz")
    ]
    train_tokenizer(corpora, str(tmp_path / "tokenizer"), 4096, max_bytes=4_000_000)
    export_run(make_run(tmp_path / "run", tmp_path / "tokenizer"), tmp_path / "hf", 1 << 30)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")
    ours = tokenizers.load_tokenizer(str(tmp_path / "tokenizer"))
    seen = 0
    for path in sorted(shared_data.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            records = [json.loads(line) for line, _ in zip(lines, range(400), strict=False)]
        texts = [record["text"] for record in records if "text" in record]
        if not texts:  # what people judged has its texts in sets
            continue
        encoded = theirs(texts, add_special_tokens=False)["input_ids"]
        assert encoded == ours.encode(texts), path
        assert theirs(["".join(texts[:3])], add_special_tokens=False)["input_ids"] == ours.encode(
            ["".join(texts[:3])]
        )
        seen += len(texts)
    assert seen > 10_000


def test_the_model_card_says_what_the_model_is(tmp_path, tokenizer_dir):
    workdir = make_run(tmp_path / "run", tokenizer_dir)
    config = json.loads((workdir / "config.json").read_text())
    config["level"] = {"name": "broad", "effective_clusters": 41.5}
    (workdir / "config.json").write_text(json.dumps(config))
    evaluation = {
        "step": 3,
        "domains": {"wiki": {"bits_per_byte": 1.25, "bits_per_byte_stderr": 0.01, "documents": 12}},
        "tasks": {"arc_easy": {"metric": "acc", "value": 0.375, "stderr": 0.02, "items": 570}},
        "mean": {"value": 0.375, "stderr": 0.02, "tasks": 1, "items": 570},
        "mean_without_copa": None,
    }
    (workdir / "eval.json").write_text(json.dumps(evaluation))
    export_run(workdir, tmp_path / "hf", 1 << 30)
    card = (tmp_path / "hf" / "README.md").read_text()
    for fragment in (
        "| name | broad |",
        "| effective_clusters | 41.5 |",
        "| wiki | bits per byte | 1.2500 | 0.0100 | 12 |",
    ):
        assert fragment in card
    assert "| arc_easy | acc | 0.3750 | 0.0200 | 570 |" in card
    (workdir / "eval.json").write_text(
        json.dumps({**evaluation, "step": 2})
    )  # figures of other weights
    export_run(workdir, tmp_path / "hf", 1 << 30)
    assert "not evaluated" in (tmp_path / "hf" / "README.md").read_text()


def test_bad_usage_is_one_line(tmp_path, tokenizer_dir, command):
    fails_with_one_line(
        command("divsyn_jax.export", f"--workdir={tmp_path}", f"--output={tmp_path}/hf"),
        "config.json",
    )
    workdir = make_run(tmp_path / "run", tokenizer_dir)
    with pytest.raises(UserError, match=r"no checkpoint of step 7; there are \[3\]"):
        export_run(workdir, tmp_path / "hf", 1 << 30, step=7)
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "thesis.tex").write_text("")
    with pytest.raises(UserError, match="thesis.tex"):
        export_run(workdir, tmp_path / "hf", 1 << 30)


MEMORY = """
import pathlib, shutil, sys, threading, time
from divsyn_jax.huggingface import exchange

def own_memory():  # what is not the content of a file
    lines = open("/proc/self/status")
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) * 1024

def convert(source, target):
    if sys.argv[1] == "export":
        exchange.export_run(source, target, 100_000_000)
    else:
        exchange.import_checkpoint(source, target)

peak = 0
def watch():
    global peak
    while True:
        peak = max(peak, own_memory())
        time.sleep(0.002)
small, source, target = map(pathlib.Path, sys.argv[2:])
convert(small, target)  # what JAX, Orbax and TensorStore take for themselves
shutil.rmtree(target)
before = own_memory()
threading.Thread(target=watch, daemon=True).start()
convert(source, target)
print(peak - before)
"""


@pytest.mark.slow
def test_a_model_is_never_in_memory_whole(tmp_path, tokenizer_dir):
    small = make_run(tmp_path / "small", tokenizer_dir)
    export_run(small, tmp_path / "small_hf", 1 << 30)
    large = make_run(
        tmp_path / "run",
        tokenizer_dir,
        hidden=512,
        intermediate=2048,
        layers=16,
        heads=8,
        kv_heads=8,
    )
    largest = 16 * 512 * 2048 * 4
    for way, *paths in (
        ("export", small, large, "hf"),
        ("import", tmp_path / "small_hf", tmp_path / "hf", "imported"),
    ):
        command = [sys.executable, "-c", MEMORY, way, *(str(tmp_path / path) for path in paths)]
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        assert result.returncode == 0, result.stderr
        # Reading one parameter takes its compressed bytes, the decoded chunk and the array; the
        # model is 4 times the largest.
        assert int(result.stdout) < 3.5 * largest, way


@pytest.mark.parametrize("prefix", [False, True])
def test_user_defined_symbols_survive_export(tmp_path, prefix):
    transformers = pytest.importorskip("transformers")
    import sentencepiece

    symbols = ["<|user|>", "<|assistant|>"]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(small_texts(200)),
        model_prefix=str(tmp_path / "tokenizer"),
        model_type="bpe",
        vocab_size=400,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=prefix,
        byte_fallback=True,
        user_defined_symbols=symbols,
        minloglevel=2,
    )
    ours = tokenizers.load_tokenizer(str(tmp_path))
    (tmp_path / "hf").mkdir()
    tokenizer_files.export(tmp_path, ours, 64, tmp_path / "hf")
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")
    texts = [*TRICKY, "a <|user|> river", "<|user|>\nthe river<|assistant|>", " <|user|><|user|> a"]
    for text, ids in zip(texts, ours.encode(texts), strict=True):
        assert theirs(text, add_special_tokens=False)["input_ids"] == ids, text
        assert theirs.decode(ids) == ours.decode(ids)


@pytest.mark.parametrize("kind", ["tiktoken", "unigram"])
def test_tokenizer_json_is_the_tokenizer_beside_a_model_of_another_kind(tmp_path, kind):
    from divsyn_jax.data import jinja_template

    source = tmp_path / "source"
    make_tokenizer(source, True, CHATML)
    (source / "chat_template.jinja").unlink(missing_ok=True)
    (source / "tokenizer.model").write_text("IQ== 0\nIg== 1\n")
    if kind == "unigram":
        import sentencepiece

        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(small_texts(200)),
            model_prefix=str(source / "tokenizer"),
            vocab_size=100,
            hard_vocab_limit=False,
            minloglevel=2,
        )
        (source / "tokenizer.vocab").unlink()
    imported = tokenizer_files.import_files(source, tmp_path / "run")
    assert (imported.bos_id, imported.eos_id) == (0, 1)
    assert not (tmp_path / "run" / "tokenizer.model").exists()
    template = jinja_template.load_chat_template(tmp_path / "run", imported)
    assert template is not None
    assert template.template == CHATML
    assert (tmp_path / "run" / "chat_template.jinja").read_text() == CHATML
