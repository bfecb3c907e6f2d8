"""Evaluate trained runs: held-out loss and bits per byte by domain.

  python -m divsyn_jax.evaluate --workdir=runs/350m [--data=wiki=shards/wiki,books=shards/books]

writes eval.json into each run directory (several may be given, comma-separated: they share compiled code), and per-document
results to eval/<domain>.jsonl. Domains default to the run's own data.eval.
The definition of bits per byte is in divsyn_jax/heldout.py.
"""

import json
import os
import pathlib
from collections.abc import Callable
from typing import Any

import jax
from absl import flags

from divsyn_jax import commandline, files, heldout, optimizer, sharding, step
from divsyn_jax.checkpointing import Checkpoints
from divsyn_jax.commandline import UserError
from divsyn_jax.data import tokenizer as tokenizers
from divsyn_jax.recipe import Recipe

_WORKDIR = flags.DEFINE_list("workdir", None, "Run directories (comma-separated).")
_DATA = flags.DEFINE_string("data", None, "Domains as name=folder,...; default: the run's data.eval.")


def evaluate_run(workdir: pathlib.Path, data: str | None = None) -> dict[str, Any]:
    """Evaluate the newest checkpoint of a run, write `eval.json` and return it. Raises `UserError` for an unusable run."""
    if not (workdir / "config.json").is_file():
        raise UserError(f"{workdir}: no run here (config.json is missing); train it with python -m divsyn_jax.train")
    config = files.read_json(workdir / "config.json")
    try:
        recipe = Recipe.from_config(config)
    except UserError as error:
        raise UserError(f"{workdir / 'config.json'}: {error}") from None
    spec = recipe.data.eval if data is None else data
    if not spec:
        raise UserError(f"{workdir}: the run names no data.eval; give domains with --data=name=folder")
    tokenizer = tokenizers.load_copy(workdir / "tokenizer")
    root = recipe.data.root if data is None else ""
    domains = heldout.open_domains(spec, root, recipe.seq_len, tokenizer.sha256)
    if not domains:
        raise UserError(f"--data={spec}: no domain; give domains as name=folder,...")
    mesh = sharding.make_mesh(recipe.mesh)
    with jax.set_mesh(mesh):
        abstract = step.abstract_state(recipe.model, optimizer.make_optimizer(recipe.optimizer, recipe.steps), mesh)
        checkpoints = Checkpoints(workdir, recipe.checkpoint.keep, recipe.checkpoint.keep_every_steps)
        try:
            params, progress = checkpoints.restore_params(abstract["params"])
        except UserError:
            raise
        except Exception as error:  # damaged files surface as many types in Orbax and TensorStore
            why = (str(error).splitlines() or [""])[0][:200]
            raise UserError(
                f"{workdir}/checkpoints: cannot be read ({type(error).__name__}: {why}); train the run again"
            ) from None
        checkpoints.close()
        eval_step = _cached_eval_step(recipe)
        result: dict[str, Any] = {"step": progress["step"], "domains": {}, "tasks": {}}
        for domain in domains:
            documents = domain.evaluate(eval_step, params, recipe.eval.batch, mesh)
            result["domains"][domain.name] = {
                **heldout.summarise(documents),
                "data": domain.windows.fingerprint,
                "window": recipe.seq_len,
            }
            lines = (json.dumps({"document": index, **document}) for index, document in enumerate(documents))
            files.write_text(workdir / "eval" / f"{domain.name}.jsonl", "\n".join(lines) + "\n")
    files.write_json(workdir / "eval.json", result)
    return result


_EVAL_STEPS: dict[tuple, Callable] = {}


def _cached_eval_step(recipe: Recipe) -> Callable:
    """Runs of one shape share one compiled step."""
    key = (recipe.model, recipe.loss.chunk)
    if key not in _EVAL_STEPS:
        _EVAL_STEPS[key] = step.make_eval_step(*key)
    return _EVAL_STEPS[key]


def main(arguments: list[str]) -> None:
    """Command entry: see the module's docstring."""
    if arguments:
        raise UserError(f"unexpected argument {arguments[0]!r}; give runs as --workdir=A,B")
    for workdir in commandline.require(_WORKDIR.value, "workdir", "runs/350m"):
        result = evaluate_run(pathlib.Path(workdir), _DATA.value)
        for name, domain in result["domains"].items():
            print(
                f"{workdir} step {result['step']}: {name}: {domain['bits_per_byte']:.4f} bits/byte, loss {domain['loss']:.4f}, {domain['documents']} documents"
            )


if __name__ == "__main__":
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", os.path.expanduser("~/.cache/divsyn_jax/xla"))
    commandline.run(main, __doc__)
