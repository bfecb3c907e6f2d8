"""Evaluation of one run: domains and tasks into eval.json and eval/*.jsonl.

The command is divsyn_jax/evaluate.py.
"""

import functools
import json
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.sharding import Mesh

from divsyn_jax.base import files
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data import jinja_template
from divsyn_jax.model import decoder, sharding
from divsyn_jax.model.config import ModelConfig
from divsyn_jax.training import heldout, step, trained_run
from divsyn_jax.training.trained_run import TrainedRun


def evaluate_run(
    workdir: pathlib.Path,
    data: str | None = None,
    tasks: Sequence[Any] = (),
    chat: bool | None = None,
    limit: int | None = None,
    batch_tokens: int = 4096,
    num_fewshot: int | None = None,
) -> dict[str, Any]:
    """Evaluate the newest checkpoint of a run, write `eval.json` and return it. Raises `UserError`
    for an unusable run.

    Args: data: domains, in place of the run's own data.eval. tasks: as `harness.open_tasks` gives
      them. What was measured before on the same checkpoint stays in eval.json. chat: use the chat
      template; None: where the run has one. limit: of items a task. batch_tokens: see
      `language_model`. num_fewshot: see `harness.run_tasks`.
    """
    run = trained_run.open_run(workdir)
    recipe = run.recipe
    spec = recipe.data.eval if data is None else data
    if not spec and not tasks:
        raise UserError(
            f"{workdir}: the run names no data.eval; give domains with --data=name=folder, or"
            " --tasks"
        )
    domains = heldout.open_domains(
        spec, recipe.data.root if data is None else "", recipe.seq_len, run.tokenizer.sha256
    )
    if spec and not domains:
        raise UserError(f"--data={spec}: no domain; give domains as name=folder,...")
    mesh = run.inference_mesh()
    with jax.set_mesh(mesh), decoder.exact_products(run.inference_model.dtype):
        params, progress = run.load_params(mesh)
        identity = trained_run.checkpoint_identity(progress)
        result: dict[str, Any] = {
            "domains": {},
            "tasks": {},
            **_measured_before(workdir, identity),
            "step": progress["step"],
            "checkpoint": identity,
        }
        eval_step = _eval_step(run.inference_model, recipe.loss.chunk)
        devices = sharding.row_shards()
        batch = -(-recipe.eval.batch // devices) * devices
        for domain in domains:
            documents = domain.evaluate(eval_step, params, batch, mesh)
            result["domains"][domain.name] = {
                **heldout.summarise(documents),
                "data": domain.windows.fingerprint,
                "window": recipe.seq_len,
            }
            lines = (
                json.dumps({"document": index, **document})
                for index, document in enumerate(documents)
            )
            files.write_text(workdir / "eval" / f"{domain.name}.jsonl", "\n".join(lines) + "\n")
        if tasks:
            result.update(
                _evaluate_tasks(
                    *(run, params, mesh, identity, tasks, chat, limit, batch_tokens),
                    *(num_fewshot, result["tasks"]),
                )
            )
    files.write_json(workdir / "eval.json", result)
    return result


def _evaluate_tasks(
    run: TrainedRun,
    params: Any,
    mesh: Mesh,
    identity: str,
    tasks: Sequence[Any],
    chat: bool | None,
    limit: int | None,
    batch_tokens: int,
    num_fewshot: int | None,
    earlier: dict[str, Any],
) -> dict[str, Any]:
    """`tasks` (with those measured `earlier`), `mean` and `mean_without_copa` of eval.json."""
    from divsyn_jax.evaluation import harness, language_model

    has_template = (
        jinja_template.load_chat_template(run.workdir / "tokenizer", run.tokenizer) is not None
    )
    if chat and not has_template:
        raise UserError(
            f"{run.workdir}: --chat, but the run has no chat template; fine-tune it on"
            " conversations"
        )
    chat = has_template if chat is None else chat
    entries = dict(earlier)
    with language_model.opened(run, params, mesh, batch_tokens, identity, chat) as lm:
        for name, (entry, items) in harness.run_tasks(lm, tasks, chat, limit, num_fewshot).items():
            harness.write_items(run.workdir, name, items)
            entries[name] = {**entry, "chat_template": chat}
        if lm.truncated:
            print(
                f"{run.workdir}: {lm.truncated} requests were longer than {lm.max_length} tokens"
                " and cut on the left"
            )
    return {"tasks": entries, **harness.means(entries)}


def _measured_before(workdir: pathlib.Path, identity: str) -> dict[str, Any]:
    """What eval.json holds of the checkpoint called `identity`; {} where it is of another."""
    if not (workdir / "eval.json").is_file():
        return {}
    earlier = files.read_json(workdir / "eval.json")
    return earlier if earlier.get("checkpoint") == identity else {}


@functools.lru_cache
def _eval_step(config: ModelConfig, chunk: int) -> Callable:
    """The evaluation step; runs of one shape share one, and with it its compiled program."""
    return step.make_eval_step(config, chunk)
