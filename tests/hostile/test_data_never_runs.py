"""Data sets, checkpoints and templates of strangers run nothing."""

import json
import os
import pathlib
import pty
import subprocess
import sys

import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data import shard_builder, template_renderer
from divsyn_jax.data import tokenizer as tokenizers
from divsyn_jax.data.readers import tfds_features
from divsyn_jax.data.readers.corpus import CorpusReader
from tests.conftest import ROOT

INFO = {
    "name": "tf1",
    "version": "1.0.0",
    "fileFormat": "array_record",
    "splits": [
        {
            "name": "train",
            "numBytes": "0",
            "shardLengths": ["1"],
            "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
        }
    ],
}
OURS = "tensorflow_datasets.core.features.features_dict.FeaturesDict"
EVIL = "evil_features.X"
FEATURES = {
    "the attack": {"pythonClassName": EVIL, "featuresDict": {"features": {}}},
    "snake case": {"python_class_name": EVIL, "features_dict": {"features": {}}},
    "legacy": {"type": EVIL, "content": {}},
    "nested": {
        "pythonClassName": OURS,
        "featuresDict": {"features": {"a": {"pythonClassName": EVIL, "text": {}}}},
    },
    "json in json": {
        "pythonClassName": OURS,
        "jsonFeature": {"json": json.dumps({"a": {"type": EVIL, "content": {}}})},
    },
    "prefix": {"pythonClassName": f"tensorflow_datasets.core.featuresX.{EVIL}"},
}


def prepared(folder: pathlib.Path, features: str) -> pathlib.Path:
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text(json.dumps(INFO))
    (folder / "features.json").write_text(features)
    return folder


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A module that tells when it was imported."""
    (tmp_path / "evil_features.py").write_text(
        f"open({str(tmp_path / 'PWNED')!r}, 'w').write('executed')\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    yield tmp_path / "PWNED"
    sys.modules.pop("evil_features", None)


@pytest.mark.parametrize("features", FEATURES.values(), ids=FEATURES.keys())
def test_a_tfds_folder_imports_no_class_of_its_own(tmp_path, evil, features):
    pytest.importorskip("tensorflow_datasets")
    folder = prepared(tmp_path / "data", json.dumps(features))
    with pytest.raises(UserError, match="feature class"):
        list(CorpusReader(f"tfds:{folder}:train"))
    assert not evil.exists()


def test_a_key_given_twice_hides_nothing(tmp_path, evil):
    pytest.importorskip("tensorflow_datasets")
    text = json.dumps(FEATURES["the attack"])[:-1] + f', "pythonClassName": "{OURS}"}}'
    folder = prepared(tmp_path / "data", text)
    with pytest.raises(UserError, match="feature class"):
        list(CorpusReader(f"tfds:{folder}:train"))
    assert not evil.exists()


def test_a_dataset_found_by_name_is_checked_too(tmp_path, evil, monkeypatch):
    pytest.importorskip("tensorflow_datasets")
    from tensorflow_datasets.core.utils import file_utils

    monkeypatch.setattr(file_utils, "list_data_dirs", lambda *_, **__: [tmp_path / "dirs"])
    for place in ("tf1/1.0.0", "tf2/config/1.0.0"):
        prepared(tmp_path / "dirs" / place, json.dumps(FEATURES["the attack"]))
    for name in ("tf1", "tf2", "tf2/config"):
        with pytest.raises(UserError, match="feature class"):
            list(CorpusReader(f"tfds:{name}:train"))
    with pytest.raises(UserError, match="neither"):
        list(CorpusReader("tfds:../dirs/tf1:train"))
    assert not evil.exists()


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "\xff", '{"pythonClassName": {}}'])
def test_broken_features_are_one_line(tmp_path, text):
    path = tmp_path / "features.json"
    path.write_bytes(text.encode("latin-1"))
    if text.endswith("{}}"):
        return tfds_features.check_file(path)
    with pytest.raises(UserError, match="features.json: not the features"):
        tfds_features.check_file(path)
    return None


def test_a_checkpoint_with_code_asks_nothing_on_a_terminal(tmp_path):
    """On a terminal transformers asks whether to run the code, unless it is told not to."""
    pytest.importorskip("transformers")
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'PWNED')!r}, 'w').write('x')\n")
    config = {
        "model_type": "rc",
        "auto_map": {
            "AutoConfig": "evil.C",
            "AutoTokenizer": ["evil.T", "evil.T"],
            "AutoModelForCausalLM": "evil.M",
        },
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    (tmp_path / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "T", "auto_map": config["auto_map"]})
    )
    (tmp_path / "tokenizer.json").write_text("{}")
    script = (
        "from divsyn_jax.diversity.baselines import perplexity\n"
        "from divsyn_jax.data import tokenizer\n"
        "from divsyn_jax.base.commandline import UserError\n"
        "def load(path): tokenizer.load_tokenizer('hf:' + path)\n"
        "for call in (perplexity._check_model, perplexity._load, load):\n"
        "    try:\n"
        f"        call({str(tmp_path)!r})\n"
        "    except UserError as error:\n"
        "        print('refused', error)\n"
    )
    ours, theirs = pty.openpty()
    os.write(ours, b"y\ny\ny\ny\n")
    result = subprocess.run(
        [sys.executable, "-c", script],
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        timeout=120,
    )
    os.close(ours)
    os.close(theirs)
    assert result.stdout.count("refused") == 3, result.stdout
    assert "[y/N]" not in result.stdout
    assert not (tmp_path / "PWNED").exists()


def test_a_pickle_is_no_checkpoint(tmp_path):
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    from divsyn_jax.diversity.baselines import perplexity
    from tests.diversity.baselines.test_perplexity import WORDS, _tokenizer

    shape = transformers.GPT2Config(n_embd=8, n_layer=1, n_head=1, n_positions=8, vocab_size=12)
    model = transformers.GPT2LMHeadModel(shape)
    model.config.save_pretrained(tmp_path)
    _tokenizer(WORDS).save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match="cannot be loaded"):
        perplexity.perplexity(["to be"], [str(tmp_path)])


class Explosive:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (pathlib.Path.touch, (pathlib.Path(self.path),))


def test_what_workers_exchange_is_json(tmp_path, tokenizer_dir):
    """A task that travels as JSON gives the bytes of one that does not; a pickle is refused."""
    import pickle

    from divsyn_jax.data import beam_runner

    task = shard_builder._ShardTask(
        path=str(tmp_path / "a.array_record"),
        texts=("the river bank", "old mills"),
        tokenizer=tokenizers.load_tokenizer(str(tokenizer_dir)),
        seq_len=8,
        packing="document",
        dtype=shard_builder.np.dtype("<u2"),
        template=None,
    )
    direct = shard_builder._write(task)
    (tmp_path / "0.task").write_text(json.dumps(shard_builder._to_json(task)))
    beam_runner._run(shard_builder._write_from_json, str(tmp_path / "0"))
    shard = shard_builder._Shard(**json.loads((tmp_path / "0.result").read_text()))
    assert (shard.entry, shard.documents, shard.tokens) == (
        direct.entry,
        direct.documents,
        direct.tokens,
    )
    assert direct.tokens
    (tmp_path / "1.task").write_bytes(pickle.dumps(Explosive(str(tmp_path / "PWNED"))))
    with pytest.raises(ValueError, match="UTF-8|Expecting"):
        beam_runner._run(shard_builder._write_from_json, str(tmp_path / "1"))
    assert not (tmp_path / "PWNED").exists()


MESSAGES = {"messages": [{"role": "user", "content": "hello"}], "bos_token": "<s>"}
TEMPLATES = {
    "loop": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "product": "{{ 'a' * 2000000000 }}",
    "filter": "{{ 'a' | center(3000000000) }}",
    "doubling": "{% set x = namespace(v='aaaaaaaa') %}{% for i in range(60) %}"
    "{% set x.v = x.v ~ x.v %}{% endfor %}{{ x.v }}",
    "macros": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}"
    "{{ m(60) }}",
    "power": "{{ 9 ** 999999999 }}",
    "output": "{% for a in range(90000) %}{{ 'a' * 1000 }}{% endfor %}",
}
ERRORS = {
    "zero": "{{ 1 / 0 }}",
    "type": "{{ 'a' + 1 }}",
    "range": "{{ range(10 ** 9) }}",
    "recursion": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "include": "{% include 'x' %}",
    "syntax": "{% for %}",
    "nesting": "{{ " + "(" * 5000 + ")" * 5000 + " }}",
    "key": "{{ messages[5]['role'].x }}",
    "raise": "{{ raise_exception('no system role') }}",
    "class": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
}


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES.keys())
def test_a_template_ends_within_its_limits(monkeypatch, template):
    monkeypatch.setattr(template_renderer, "LONGEST_S", 3.0)
    with pytest.raises(UserError, match=r"t.jinja: cannot be rendered"):
        template_renderer.render(template, MESSAGES, "t.jinja")
    assert template_renderer.render("{{ bos_token }}", MESSAGES, "t.jinja") == "<s>"


@pytest.mark.parametrize("template", ERRORS.values(), ids=ERRORS.keys())
def test_whatever_a_template_raises_is_one_line(template):
    with pytest.raises(UserError, match=r"t.jinja: (cannot be rendered|no system role)") as raised:
        template_renderer.render(template, MESSAGES, "t.jinja")
    assert len(str(raised.value)) < 700
