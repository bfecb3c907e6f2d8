"""Packing:

every conversation whole and once, few windows, and a window that says what is learned from it.
"""

import hashlib
import json
import random

import numpy as np
import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data import tokenizer as tokenizers
from divsyn_jax.data.chat import ChatTemplate, messages_of
from divsyn_jax.data.packing import best_fit_decreasing
from divsyn_jax.data.shard_builder import build_shards
from divsyn_jax.data.shards import ShardedWindows, unpack_window
from tests.conftest import conversations, fails_with_one_line, write_conversations


@pytest.mark.parametrize("seed", range(5))
def test_best_fit_packs_everything_once_and_tightly(seed):
    generator = random.Random(seed)
    sizes = [
        generator.choice((generator.randint(1, 30), generator.randint(1, 100))) for _ in range(400)
    ]
    bins = best_fit_decreasing(sizes, 100)
    assert sorted(index for items in bins for index in items) == list(range(400))
    assert all(sum(sizes[index] for index in items) <= 100 for items in bins)
    assert len(bins) <= 11 / 9 * -(-sum(sizes) // 100) + 1
    assert bins == best_fit_decreasing(sizes, 100)


def test_best_fit_takes_the_fullest_bin_that_still_holds_an_item():
    # 60 and 55 open bins; 45 fits only the second, exactly; 30 fits only the first; 10 fills that
    # one.
    assert best_fit_decreasing([10, 30, 45, 55, 60], 100) == [[0, 1, 4], [2, 3]]
    assert best_fit_decreasing([], 10) == []
    with pytest.raises(ValueError, match="item 1 of size 11"):
        best_fit_decreasing([3, 11], 10)


def test_windows_hold_every_conversation_whole_and_once(tmp_path, tokenizer_dir):
    records = conversations(80)
    path = write_conversations(tmp_path / "a.jsonl", records)
    manifest = build_shards(
        [path], str(tokenizer_dir), str(tmp_path / "out"), 160, "best_fit", system_prompt="Hm."
    )
    windows = ShardedWindows(tmp_path / "out")
    tokenizer = tokenizers.load_tokenizer(str(tokenizer_dir))
    template = ChatTemplate.of(tokenizer, "Hm.")
    expected = template.encode_conversations(tokenizer, [messages_of(record) for record in records])
    found, real, learned = [], 0, 0
    for index in range(len(windows)):
        window = unpack_window(windows[index], 160)
        used = window["segments"] > 0
        real += int(used.sum())
        learned += int(window["loss_mask"].sum())
        assert not any(window[name][~used].any() for name in window)
        for segment in range(1, window["segments"].max() + 1):
            at = window["segments"] == segment
            np.testing.assert_array_equal(window["positions"][at], np.arange(at.sum()))
            inputs, targets = window["inputs"][at], window["targets"][at]
            np.testing.assert_array_equal(inputs[1:], targets[:-1])  # shifted once, here
            found.append(([inputs[0], *targets], [False, *(window["loss_mask"][at] > 0)]))
    key = lambda pair: tuple(map(int, pair[0]))  # noqa: E731
    found, expected = sorted(found, key=key), sorted(expected, key=key)
    assert [key(pair) for pair in found] == [key(pair) for pair in expected]
    assert [list(map(bool, mask)) for _, mask in found] == [mask for _, mask in expected]
    assert manifest["targets"] == learned == sum(sum(mask) for _, mask in expected)
    assert manifest["tokens"] == sum(len(tokens) for tokens, _ in expected)
    assert manifest["documents"] == 80 == len(windows.documents())
    assert manifest["chat"]["packing_efficiency"] == pytest.approx(real / (160 * len(windows)))
    assert manifest["chat"]["packing_efficiency"] > 0.8
    assert (tmp_path / "out" / "chat_template.jinja").read_text() == template.jinja()


def test_output_does_not_depend_on_workers(tmp_path, tokenizer_dir):
    path = write_conversations(tmp_path / "a.jsonl", conversations(200))

    def digest(workers):
        out = tmp_path / f"out{workers}"
        build_shards(
            [path], str(tokenizer_dir), str(out), 160, "best_fit", shard_bytes=3000, workers=workers
        )
        return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in out.iterdir()}

    one = digest(1)
    assert one == digest(2)
    assert len(one) > 6


def test_what_is_left_out_is_counted_and_named(tmp_path, tokenizer_dir, command):
    records = [
        *conversations(20),
        {"prompt": "word " * 200, "response": "x"},
        {"prompt": "p", "response": ""},
    ]
    path = write_conversations(tmp_path / "a.jsonl", records)
    arguments = [
        f"--input={path}",
        f"--tokenizer={tokenizer_dir}",
        "--seq_len=160",
        f"--output={tmp_path / 'out'}",
    ]
    # The long one is a shard of its own, which is then not written.
    result = command("tools.build_shards", "--format=chat", "--shard_bytes=500", *arguments)
    assert result.returncode == 0, result.stderr
    assert f"skipped {path}:21: " in result.stdout
    assert f"skipped {path}:22: a message of the assistant is empty" in result.stdout
    assert "1 empty and 1 too long left out" in result.stdout
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (manifest["documents"], manifest["sources"][0]["empty"]) == (20, 1)
    assert manifest["sources"][0]["problems"] == [f"{path}:22: a message of the assistant is empty"]
    assert [line.split(": ")[0] for line in manifest["chat"]["too_long"]] == [f"{path}:21"]
    assert len(ShardedWindows(tmp_path / "out").documents()) == 20


def test_the_largest_conversation_that_fits_is_kept(tmp_path, tokenizer_dir):
    tokenizer = tokenizers.load_tokenizer(str(tokenizer_dir))
    record = conversations(1)[0]
    [(tokens, _)] = ChatTemplate.of(tokenizer).encode_conversations(
        tokenizer, [messages_of(record)]
    )
    path = write_conversations(tmp_path / "a.jsonl", [record])
    build_shards([path], str(tokenizer_dir), str(tmp_path / "fits"), len(tokens) - 1, "best_fit")
    with pytest.raises(UserError, match=r"a.jsonl:1: .* inputs, a window holds .*larger --seq_len"):
        build_shards([path], str(tokenizer_dir), str(tmp_path / "not"), len(tokens) - 2, "best_fit")
    assert not (tmp_path / "not").exists()


def test_damaged_documents_are_named(tmp_path, tokenizer_dir):
    path = write_conversations(tmp_path / "a.jsonl", conversations(5))
    build_shards([path], str(tokenizer_dir), str(tmp_path / "out"), 160, "best_fit")
    for damage in ("[1, 2]", '[{"bytes": 3}]', "{}"):
        (tmp_path / "out" / "documents.json").write_text(damage)
        with pytest.raises(UserError, match="documents.json: damaged"):
            ShardedWindows(tmp_path / "out").documents()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--format=chat", "--packing=document"), "--packing=document"),
        (("--system_prompt=x",), "--system_prompt is for --format=chat"),
        (("--format=chat",), "needs messages, or prompt and response"),
    ],
)
def test_flags_that_do_not_go_together(tmp_path, tokenizer_dir, command, flags, message):
    (tmp_path / "a.jsonl").write_text('{"text": "plain"}\n')
    given = [
        f"--input={tmp_path / 'a.jsonl'}",
        f"--tokenizer={tokenizer_dir}",
        f"--output={tmp_path / 'out'}",
    ]
    fails_with_one_line(command("tools.build_shards", *flags, *given), message)
    assert not (tmp_path / "out").exists()
