"""The gradient of the training loss on single documents, in few random dimensions.

Shapes: N documents, B documents of a batch, L length of a window, P parameters, R rows of the
sketch, E dimensions kept."""

import dataclasses
import functools
import sys
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from divsyn_jax.model import decoder
from divsyn_jax.training.recipe import Recipe
from divsyn_jax.training.step import make_loss
from divsyn_jax.training.trained_run import TrainedRun, checkpoint_identity

_ROUND = 32  # window lengths are multiples of it, so that few programs are compiled
_GRADIENT_NUMBERS = 32_000_000  # of the gradients held at a time: 128 MB
_LEAST_NORM = 1e-20


@dataclasses.dataclass(frozen=True)
class DocumentGradients:
    """What documents would teach a run.

    Attributes:
      vectors_NE: unit vectors, the direction of each document's gradient.
      checkpoint: identity of the weights.
      parameters: their number, P.
      cut: documents longer than the run's window, of which the window alone was read.
    """

    vectors_NE: np.ndarray
    checkpoint: str
    parameters: int
    cut: int


def document_gradients(
    run: TrainedRun, texts: Sequence[str], dimensions: int, seed: int = 0
) -> DocumentGradients:
    """Directions of the gradients of the run's own loss (mean over a document's tokens, z-loss
    where the recipe has it) with respect to all parameters, each document apart, by `vmap`.

    A document is what training would see of it alone: what its first token is predicted from, its
    tokens, EOS; at most a window. Gradients of P numbers are sketched in `dimensions` of them:
    random signs, a random order, and sums over as many equal parts (a balanced count sketch;
    Charikar et al. 2002, doi 10.1007/3-540-45465-9_59): cosines keep their mean, with an error of
    about 1 / sqrt(dimensions)."""
    params, progress = run.load_params(run.inference_mesh())
    recipe = dataclasses.replace(
        run.recipe,
        model=dataclasses.replace(run.inference_model, scan=run.recipe.model.scan),
        accumulation_steps=1,
    )
    params = jax.device_put(params, jax.devices()[0])
    tokenizer, most = run.tokenizer, recipe.seq_len + 1
    rows = [
        [*tokenizer.context_ids, *tokens, tokenizer.eos_id] for tokens in tokenizer.encode(texts)
    ]
    cut = sum(len(row) > most for row in rows)
    rows = [row[:most] for row in rows]
    parameters = sum(leaf.size for leaf in jax.tree.leaves(params))
    batch = max(1, min(64, _GRADIENT_NUMBERS // parameters))
    sketch = Sketch.drawn(parameters, dimensions, seed)
    vectors_NE = np.zeros((len(rows), dimensions), np.float32)
    by_length = sorted(range(len(rows)), key=lambda place: len(rows[place]))
    gradients = sketched_gradients(recipe)
    with tqdm(
        total=len(rows), desc="gradients", unit="document", mininterval=1, delay=2, file=sys.stderr
    ) as progress_bar:
        for start in range(0, len(rows), batch):
            places = by_length[start : start + batch]
            L = min(recipe.seq_len, -(-(len(rows[places[-1]]) - 1) // _ROUND) * _ROUND)
            tokens, length = np.zeros((batch, L + 1), np.int32), np.full(batch, 2, np.int32)
            for row, place in enumerate(places):
                tokens[row, : len(rows[place])], length[row] = rows[place], len(rows[place])
            with decoder.exact_products(recipe.model.dtype):
                found_BE = gradients(params, sketch, tokens, length)
            vectors_NE[places] = np.asarray(found_BE)[: len(places)]
            progress_bar.update(len(places))
    norms_N1 = np.linalg.norm(vectors_NE, axis=1, keepdims=True)
    return DocumentGradients(
        vectors_NE=vectors_NE / np.maximum(norms_N1, _LEAST_NORM),
        checkpoint=checkpoint_identity(progress),
        parameters=parameters,
        cut=cut,
    )


@functools.partial(
    jax.tree_util.register_dataclass, data_fields=["order_RE", "signs_RE"], meta_fields=[]
)
@dataclasses.dataclass(frozen=True)
class Sketch:
    """A random projection of P numbers to E.

    Attributes:
      order_RE: places of the P numbers; a column is a sum of them, each with its sign.
      signs_RE: -1 or +1; 0 at the end, where numbers are used up.
    """

    order_RE: jax.Array
    signs_RE: jax.Array

    @classmethod
    def drawn(cls, numbers: int, dimensions: int, seed: int) -> "Sketch":
        """The sketch of a seed."""
        generator = np.random.default_rng(seed)
        rows = -(-numbers // dimensions)
        order = np.zeros(rows * dimensions, np.int32)
        order[:numbers] = generator.permutation(numbers)
        signs = np.where(generator.random(rows * dimensions) < 0.5, -1.0, 1.0).astype(np.float32)
        signs[numbers:] = 0
        shape = (rows, dimensions)
        return cls(jnp.asarray(order.reshape(shape)), jnp.asarray(signs.reshape(shape)))

    def of(self, numbers_P: jax.Array) -> jax.Array:
        """[E] the sketch of P numbers."""
        taken_RE = numbers_P.at[self.order_RE].get(mode="promise_in_bounds")
        return jnp.sum(taken_RE * self.signs_RE, axis=0)


def sketched_gradients(recipe: Recipe) -> Callable[..., jax.Array]:
    """The jitted `(params, sketch, tokens [B, L+1], length [B]) -> [B, E]`: of each row apart."""
    of_row = functools.partial(document_gradient, recipe)

    @jax.jit
    def of_rows(
        params: decoder.Params, sketch: Sketch, tokens_BL: jax.Array, length_B: jax.Array
    ) -> jax.Array:
        gradients = jax.vmap(of_row, in_axes=(None, 0, 0))(params, tokens_BL, length_B)
        flat_BP = jnp.concatenate(
            [leaf.reshape(leaf.shape[0], -1) for leaf in jax.tree.leaves(gradients)], axis=1
        )
        return jax.vmap(sketch.of)(flat_BP)

    return of_rows


def document_gradient(
    recipe: Recipe, params: decoder.Params, tokens_L: jax.Array, length: jax.Array
) -> decoder.Params:
    """The gradient of the training loss on one row of tokens alone, `length` of which are real."""
    # A window shorter than training's may be no multiple of the chunk, which changes memory alone.
    chunk = recipe.loss.chunk
    if chunk and (len(tokens_L) - 1) % chunk:
        recipe = dataclasses.replace(recipe, loss=dataclasses.replace(recipe.loss, chunk=0))
    loss = make_loss(recipe)
    windows = {"tokens": tokens_L[None], "length": length[None]}
    valid = (length - 1).astype(jnp.float32)
    return jax.grad(lambda params: loss(params, windows, valid)[0])(params)
