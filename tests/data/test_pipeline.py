"""The input order:

a function of the row number, the same on any number of hosts, exact from every position.
"""

import grain
import numpy as np
import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.pipeline import Mixture, Source, parse_sources
from divsyn_jax.data.shard_builder import build_shards
from divsyn_jax.data.shards import ShardedWindows
from tests.conftest import conversations, small_texts, write_conversations, write_jsonl


@pytest.fixture(scope="module")
def folders(tmp_path_factory, tokenizer_dir):
    root = tmp_path_factory.mktemp("shards")
    for index, name in enumerate(("a", "b")):
        corpus = write_jsonl(
            root / f"{name}.jsonl", small_texts(30 + 20 * index, seed=index, words=20)
        )
        build_shards([str(corpus)], str(tokenizer_dir), str(root / name), seq_len=16)
    return root


@pytest.fixture(scope="module")
def many_windows(tmp_path_factory, tokenizer_dir):
    """Two folders of thousands of windows (a few dozen take grain's shuffle far longer, which draws
    until it hits one).
    """
    root = tmp_path_factory.mktemp("many")
    for index, name in enumerate(("a", "b")):
        corpus = write_jsonl(root / f"{name}.jsonl", small_texts(300, seed=index, words=40))
        build_shards(
            [str(corpus)], str(tokenizer_dir), str(root / name), seq_len=2, shard_bytes=10_000
        )
    return root


def mixture(folders, global_batch=8, seed=3, weights=(3.0, 1.0)):
    return Mixture(
        [Source("a", folders / "a", weights[0]), Source("b", folders / "b", weights[1])],
        16,
        seed,
        global_batch,
    )


def take(batches, count):
    return [next(batches) for _ in range(count)]


def same(left, right):
    return all(
        np.array_equal(x[key], y[key])
        for x, y in zip(left, right, strict=True)
        for key in ("tokens", "length", "source")
    )


def test_the_order_is_that_of_a_chain_of_windows(folders):
    components = [
        grain.MapDataset.source(ShardedWindows(folders / name)).shuffle(seed=3 + index).repeat()
        for index, name in enumerate(("a", "b"))
    ]
    chain = grain.MapDataset.mix(components, [3.0, 1.0])
    rows = [
        row
        for batch in take(mixture(folders).batches(0), 40)
        for row in zip(batch["tokens"], batch["length"], strict=True)
    ]
    assert all(np.array_equal(tokens[:length], chain[i]) for i, (tokens, length) in enumerate(rows))


def test_continuing_at_every_position_gives_the_same_stream(folders):
    data = mixture(folders)
    whole = take(data.batches(0), 40)  # several epochs of both sources
    for position in range(40):
        assert same(take(data.batches(position), 40 - position), whole[position:])


@pytest.mark.parametrize("hosts", [2, 4, 8])
def test_any_number_of_hosts_reads_the_same_global_batches(folders, hosts):
    data = mixture(folders)
    whole = take(data.batches(5), 6)
    parts = [take(data.batches(5, host, hosts), 6) for host in range(hosts)]
    joined = [
        {key: np.concatenate([parts[host][i][key] for host in range(hosts)]) for key in whole[0]}
        for i in range(6)
    ]
    assert same(joined, whole)


def test_an_epoch_holds_every_window_once_and_is_reshuffled(folders):
    data = Mixture([Source("a", folders / "a", 1.0)], 16, 0, 1)
    n = len(data.windows[0])
    rows = [tuple(batch["tokens"][0]) for batch in take(data.batches(0), 2 * n)]
    every = sorted(tuple(np.pad(w := data.windows[0][i], (0, 17 - len(w)))) for i in range(n))
    assert sorted(rows[:n]) == every
    assert sorted(rows[n:]) == every
    assert rows[:n] != rows[n:]


def test_seeds_and_sources_shuffle_differently(folders):
    assert not same(
        take(mixture(folders, seed=3).batches(0), 3), take(mixture(folders, seed=4).batches(0), 3)
    )


@pytest.mark.parametrize(
    ("weights", "hosts"),
    [
        ((3.0, 1.0), 1),
        ((0.9, 0.1), 1),
        ((34.0, 4.5), 1),
        *(((34.0, 20.0), hosts) for hosts in (1, 2, 4, 8)),
    ],
)
def test_token_shares_over_ten_thousand_windows(many_windows, weights, hosts):
    sources = [
        Source(name, many_windows / name, weight)
        for name, weight in zip("ab", weights, strict=True)
    ]
    data = Mixture(sources, 2, 3, 400)
    tokens = np.zeros(2)
    for host in range(hosts):
        for batch in take(data.batches(0, host, hosts), 25):
            np.add.at(tokens, batch["source"], batch["length"] - 1)
    assert abs(tokens[0] / tokens.sum() - weights[0] / sum(weights)) < 0.005


def test_only_the_first_tokens_of_a_source(folders):
    data = Mixture([Source("a", folders / "a", 1.0, tokens=100)], 16, 0, 7)
    assert len(data.windows[0]) == 7
    seen = {tuple(row) for batch in take(data.batches(0), 4) for row in batch["tokens"]}
    assert seen == {tuple(ShardedWindows(folders / "a")[i]) for i in range(7)}
    assert data.identity != Mixture([Source("a", folders / "a", 1.0)], 16, 0, 7).identity


def test_identity_changes_with_what_determines_the_order(folders):
    base = mixture(folders).identity
    assert base == mixture(folders).identity
    assert base != mixture(folders, seed=9).identity
    assert base != mixture(folders, weights=(1.0, 1.0)).identity
    a, b = Source("a", folders / "a", 3.0), Source("b", folders / "b", 1.0)
    assert base == Mixture([a, b], 16, 3, 8).identity
    assert base != Mixture([b, a], 16, 3, 8).identity


def test_parse_sources():
    assert parse_sources("x/wiki") == (Source("wiki", "x/wiki", 1.0),)
    assert parse_sources("real=a:3,syn=b/c:0.5", "root") == (
        Source("real", "root/a", 3.0),
        Source("syn", "root/b/c", 0.5),
    )
    assert parse_sources("a=x@580:2,y@7") == (Source("a", "x", 2.0, 580), Source("y", "y", 1.0, 7))
    assert parse_sources("n=/abs", "root") == (Source("n", "/abs", 1.0),)
    for bad in ("a=x:-1", "a=x:0", "a=x,a=y", "a=x@0"):
        with pytest.raises(UserError):
            parse_sources(bad)


def test_wrong_shards_are_refused_by_name(folders, tmp_path, tokenizer_dir):
    from divsyn_jax.data.tokenizer_trainer import train_tokenizer

    with pytest.raises(UserError, match="--seq_len=32"):
        Mixture([Source("a", folders / "a", 1.0)], 32, 0, 4)
    corpus = write_jsonl(tmp_path / "c.jsonl", small_texts(40))
    build_shards(
        [str(corpus)], str(tokenizer_dir), str(tmp_path / "doc"), seq_len=16, packing="document"
    )
    with pytest.raises(UserError, match="--packing=concat"):
        Mixture([Source("a", tmp_path / "doc", 1.0)], 16, 0, 4)
    train_tokenizer([str(corpus)], str(tmp_path / "tok"), 320)
    build_shards([str(corpus)], str(tmp_path / "tok"), str(tmp_path / "other"), seq_len=16)
    with pytest.raises(UserError, match="another tokenizer"):
        Mixture([Source("a", folders / "a", 1.0), Source("o", tmp_path / "other", 1.0)], 16, 0, 4)


def test_shards_with_another_tokenizer_beside_them_are_refused(folders, tmp_path):
    import shutil

    shutil.copytree(folders / "a", tmp_path / "a")
    (tmp_path / "a" / "tokenizer.model").write_bytes(b"another")
    with pytest.raises(UserError, match="not the one the shards were built with"):
        Mixture([Source("a", tmp_path / "a", 1.0)], 16, 0, 4)


@pytest.fixture(scope="module")
def chats(tmp_path_factory, tokenizer_dir):
    root = tmp_path_factory.mktemp("chats")
    for index, name in enumerate(("a", "b")):
        corpus = write_conversations(
            root / f"{name}.jsonl", conversations(30 + 15 * index, seed=index)
        )
        build_shards([corpus], str(tokenizer_dir), str(root / name), 160, "best_fit")
    return root


def chat_mixture(chats, global_batch=4, epochs=3):
    return Mixture(
        [Source("a", chats / "a", 1.0), Source("b", chats / "b", 1.0)], 160, 3, global_batch, epochs
    )


def rows_of(batches):
    """Every row of the batches as (source, inputs)."""
    return [
        (int(s), tuple(map(int, i)))
        for b in batches
        for s, i in zip(b["source"], b["inputs"], strict=True)
    ]


def test_conversations_continue_at_every_position(chats):
    data = chat_mixture(chats)
    count = -(-data.rows // 4)
    whole = take(data.batches(0), count)
    assert set(whole[0]) == {"inputs", "targets", "loss_mask", "segments", "positions", "source"}
    for position in range(count):
        rest = take(data.batches(position), count - position)
        for left, right in zip(rest, whole[position:], strict=True):
            assert all(np.array_equal(left[name], right[name]) for name in left)
    halves = [take(data.batches(0, host, 2), count) for host in range(2)]
    assert [rows_of([left, right]) for left, right in zip(*halves, strict=True)] == [
        rows_of([b]) for b in whole
    ]


def test_epochs_hold_every_window_of_every_source_exactly_so_often(chats):
    data = chat_mixture(chats, global_batch=5)
    sizes = [len(windows) for windows in data.windows]
    assert data.rows == 3 * sum(sizes)
    count = -(-data.rows // 5)
    assert 5 * count > data.rows  # else this tests no blank rows
    rows = rows_of(take(data.batches(0), count + 2))
    real, blank = rows[: data.rows], rows[data.rows :]
    assert set(blank) == {(-1, (0,) * 160)}
    n = sum(sizes)
    epochs = [sorted(real[k * n : (k + 1) * n]) for k in range(3)]
    assert epochs[0] == epochs[1] == epochs[2]
    assert len(set(epochs[0])) == n
    assert [sum(source == k for source, _ in epochs[0]) for k in range(2)] == sizes
    assert real[:n] != real[n : 2 * n]  # reshuffled
    assert [source for source, _ in real[:n]] != sorted(
        source for source, _ in real[:n]
    )  # and shuffled together


def test_text_is_counted_in_epochs_too(folders):
    data = Mixture([Source("a", folders / "a", 1.0)], 16, 0, 8, epochs=2)
    batches = take(data.batches(0), -(-data.rows // 8) + 1)
    targets = sum(int(np.sum(batch["length"] - 1)) for batch in batches)
    assert targets == 2 * data.windows[0].manifest["targets"]


def test_what_does_not_go_with_conversations_is_refused(folders, chats, tmp_path, tokenizer_dir):
    corpus = write_conversations(tmp_path / "c.jsonl", conversations(10))
    build_shards(
        [corpus], str(tokenizer_dir), str(tmp_path / "c"), 160, "best_fit", system_prompt="Be kind."
    )
    with pytest.raises(UserError, match="--system_prompt"):
        Mixture([Source("a", chats / "a", 1.0), Source("c", tmp_path / "c", 1.0)], 160, 0, 4)
    with pytest.raises(UserError, match="leave the weights out"):
        Mixture([Source("a", chats / "a", 1.0), Source("b", chats / "b", 2.0)], 160, 0, 4, epochs=1)
    corpus = write_jsonl(tmp_path / "t.jsonl", small_texts(40))
    build_shards([str(corpus)], str(tokenizer_dir), str(tmp_path / "text"), 160)
    with pytest.raises(UserError, match="--format=chat"):
        Mixture([Source("a", chats / "a", 1.0), Source("t", tmp_path / "text", 1.0)], 160, 0, 4)
