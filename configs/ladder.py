"""One law over sizes: from the number of parameters to shape, batch, tokens and learning rate.

A small model says something about a large one only where both are trained as their size asks. This
is the one place that says what a size asks; configs/modern.py makes a recipe of it, and a study
names sizes by `study_sizes`.

Parameters are those of the layers, without embedding and output projection, which the vocabulary
sets (as in OLMo-core's ladder; Kaplan et al. 2020 count so too). The law of batch and learning rate
is that of Porian et al. 2024 (arXiv 2406.19146) in the form in which OLMo-core's ladder has it
(allenai/OLMo-core, model_ladder/wsds_chinchilla_run_configurator.py): a batch of 160 windows of
2048 tokens and a rate of 0.0047 at 108M parameters, growing as N^(2/3) and falling as N^(-1/3); the
rate halved for a schedule that stays at its peak; a token of warm-up for each parameter. Width
follows depth at 64 a layer, as by nanochat's one dial (karpathy/nanochat). Tokens: 20 a parameter
(Hoffmann et al. 2022, arXiv 2203.15556).

The law was fitted for AdamW on models of 5M to 900M parameters. Muon's updates are scaled to the
size of AdamW's (`optimizer.matrix_rms`), so that it may take the same rate; how far the optimum of
a sweep lies from the law is in tools/benchmarks/modern_recipe.md."""

import dataclasses
import math
from typing import Any

from divsyn_jax.base.commandline import UserError

# Size, as it is named in a recipe, to parameters of the layers.
SIZES = {
    "1m": 1e6,
    "4m": 4e6,
    "15m": 15e6,
    "60m": 60e6,
    "150m": 150e6,
    "350m": 350e6,
    "1_4b": 1.4e9,
}
HEAD_WIDTH = 64
TOKENS_PER_PARAMETER = 20.0
_WIDTH_PER_LAYER = 64
_REFERENCE = 108e6  # parameters at which the law's constants are stated


@dataclasses.dataclass(frozen=True)
class Rung:
    """What a size asks for.

    Attributes:
      parameters: of the layers that the shape has; within 15% of the number asked for.
      layers, hidden, intermediate, heads: the shape; heads are 64 wide.
      global_batch, seq_len: windows in a step, and their tokens.
      steps: that take `tokens_per_parameter` times the parameters.
      warmup_steps: that take as many tokens as there are parameters.
      peak_lr: of the matrices and of the rest.
      b2: AdamW's; larger for a batch that is small (Porian et al. 2024, table 4).
    """

    parameters: int
    layers: int
    hidden: int
    intermediate: int
    heads: int
    global_batch: int
    seq_len: int
    steps: int
    warmup_steps: int
    peak_lr: float
    b2: float

    @property
    def tokens(self) -> int:
        """Tokens trained on."""
        return self.steps * self.global_batch * self.seq_len


def rung(
    size: str,
    seq_len: int = 2048,
    tokens_per_parameter: float = 20.0,
    tokens_in_batch: float | None = None,
) -> Rung:
    """The rung of the ladder that is named `size`, e.g. '4m', for windows of `seq_len` tokens; with
    batches of `tokens_in_batch` in place of the law's, at the rate that belongs to those.

    Raises `UserError` for a size that is not on the ladder.
    """
    if size not in SIZES:
        raise UserError(f"size={size!r} is not on the ladder; use one of {', '.join(SIZES)}")
    return rung_of(SIZES[size], seq_len, tokens_per_parameter, tokens_in_batch)


def rung_of(
    parameters: float,
    seq_len: int,
    tokens_per_parameter: float,
    tokens_in_batch: float | None = None,
) -> Rung:
    """The same for any number of parameters."""
    layers, hidden = shape_of(parameters)
    own = layer_parameters(layers, hidden)
    batch = _rounded((tokens_in_batch or batch_tokens(own)) / seq_len)
    steps = max(2, round(tokens_per_parameter * own / (batch * seq_len)))
    return Rung(
        parameters=own,
        layers=layers,
        hidden=hidden,
        intermediate=intermediate_of(hidden),
        heads=hidden // HEAD_WIDTH,
        global_batch=batch,
        seq_len=seq_len,
        steps=steps,
        # Of a run shorter than the law's, at most a fifth is warm-up.
        warmup_steps=max(1, min(round(own / (batch * seq_len)), steps // 5)),
        peak_lr=learning_rate(own, tokens_in_batch and batch * seq_len),
        b2=0.95 if batch * seq_len >= 1 << 19 else 0.99,
    )


def batch_tokens(parameters: float) -> float:
    """Tokens in a step: 160 x 2048 (N / 108M)^(2/3)."""
    return 160 * 2048 * (parameters / _REFERENCE) ** (2 / 3)


def learning_rate(parameters: float, tokens_in_batch: float | None = None) -> float:
    """Peak of the schedule 'wsd': half of 0.0047 (N / 108M)^(-1/3), to three digits.

    In batches of other than the law's size, that times the square root of their ratio, by which
    adaptive optimizers keep the noise of their steps (Malladi et al. 2022, arXiv 2205.10287).
    """
    rate = 0.0047 / 2 * (parameters / _REFERENCE) ** (-1 / 3)
    if tokens_in_batch is not None:
        rate *= math.sqrt(tokens_in_batch / batch_tokens(parameters))
    return float(f"{rate:.3g}")


def shape_of(parameters: float) -> tuple[int, int]:
    """(layers, hidden): the shape that comes closest to the number of parameters and to a width of
    64 a layer, a quarter as much weight on the second.

    Distances are of logarithms. The width is a multiple of that of a head.
    """

    def distance(shape: tuple[int, int]) -> float:
        layers, hidden = shape
        size = abs(math.log(layer_parameters(layers, hidden) / parameters))
        return size + abs(math.log(hidden / layers / _WIDTH_PER_LAYER)) / 4

    def width(layers: int) -> int:
        return max(1, round(math.sqrt(parameters / (12 * layers)) / HEAD_WIDTH)) * HEAD_WIDTH

    return min(((layers, width(layers)) for layers in range(2, 101)), key=distance)


def layer_parameters(layers: int, hidden: int) -> int:
    """Parameters of the matrices of all layers: four of attention, three of the gated MLP."""
    return layers * hidden * (4 * hidden + 3 * intermediate_of(hidden))


def intermediate_of(hidden: int) -> int:
    """Width of the MLP: 8/3 of the model's, so that a gated one is as large as one of 4 (Shazeer
    2020), as a multiple of 64.
    """
    return 64 * round(8 * hidden / 3 / 64)


def study_sizes(names: tuple[str, ...], seq_len: int) -> tuple[dict[str, Any], ...]:
    """The `sizes` of a study recipe: the recipes of these rungs, small to large.

    Windows are of one length in a study, `train.seq_len`.
    """
    for name in names:
        rung(name)
    return tuple(
        {"name": name, "config": f"configs/modern.py:size={name},seq_len={seq_len}"}
        for name in names
    )


def _rounded(windows: float) -> int:
    """To three binary digits, so that the rows of a large batch split over devices."""
    step = 2 ** max(0, math.floor(math.log2(max(1.0, windows))) - 3)
    return int(max(1, round(windows / step) * step))
