"""The modern recipe at any size of the ladder (configs/ladder.py), beside the paper's.

  python -m divsyn_jax.train --config=configs/modern.py:4m --workdir=runs/4m \\
      --config.data.train=corpus
  python -m divsyn_jax.train --config=configs/modern.py:size=350m,level=topic_styles_persona ...

Arguments, separated by commas: a size (1m, 4m, 15m, 60m, 150m, 350m, 1_4b), which may stand alone;
`seq_len=N` (2048), to which batch and steps are fitted; `tokens_per_parameter=N` (20);
`batch_tokens=N` in place of the law's, with the learning rate that belongs to it; `level=NAME` and
what may follow it, as in the other recipes.

What differs from the paper: Muon for the matrices of layers with AdamW for the rest, queries and
keys normalised (Henry et al. 2020; as Qwen3), the schedule 'wsd' (Hu et al. 2024, MiniCPM), z-loss
(PaLM), steps skipped where loss or gradient norm is a spike. Matrices are drawn as the paper's. Not
taken, with the evidence in docs/training.md: initialisation by fans, FP8, muP, mixtures of experts,
averaged weights."""

from configs import base, ladder
from divsyn_jax.base.commandline import UserError

DEFAULT_SIZE = "1m"
_ON_ONE_DEVICE = 100e6  # parameters up to which activations need not be computed twice


def get_config(argument: str | None = None):
    """The modern recipe; the argument says size, window length, tokens and level (see above)."""
    size, seq_len, tokens, batch, level = _parse(argument)
    return base.bind_level(at(ladder.rung(size, seq_len, tokens, batch)), level)


def at(rung: ladder.Rung):
    """The modern recipe at a rung of the ladder."""
    config = base.get_base()
    shape = {name: getattr(rung, name) for name in ("layers", "hidden", "intermediate", "heads")}
    config.update(steps=rung.steps, global_batch=rung.global_batch, seq_len=rung.seq_len)
    config.model.update(**shape, kv_heads=rung.heads, qk_norm=True)
    config.optimizer.update(
        name="muon",
        peak_lr=rung.peak_lr,
        schedule="wsd",
        warmup_steps=rung.warmup_steps,
        b2=rung.b2,
        skip_spikes=6.0,
    )
    config.loss.z_loss = 1e-4
    if rung.seq_len % 512 == 0:
        config.loss.chunk = 512
    if rung.parameters > _ON_ONE_DEVICE:
        config.model.remat = "minimal"
    return config


def _parse(argument: str | None) -> tuple[str, int, float, float | None, str | None]:
    """(size, window length, tokens a parameter, tokens in a batch, what is left for the level)."""
    size, seq_len, tokens, batch = DEFAULT_SIZE, 2048, ladder.TOKENS_PER_PARAMETER, None
    rest = []
    for number, part in enumerate(filter(None, (argument or "").split(","))):
        key, _, value = part.partition("=")
        if number == 0 and not value:
            key, value = "size", part
        if key == "size":
            size = value
        elif key == "seq_len":
            seq_len = int(_number(key, value))
        elif key == "tokens_per_parameter":
            tokens = _number(key, value)
        elif key == "batch_tokens":
            batch = _number(key, value)
        else:
            rest.append(part)
    return size, seq_len, tokens, batch, ",".join(rest) or None


def _number(key: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = 0.0
    if not 1 <= number < 1e9:
        raise UserError(f"config argument {key}={value}: give a number of at least 1")
    return number
