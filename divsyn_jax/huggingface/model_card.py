"""The README.md of an exported model: what it is, what it was trained on, and how it did."""

import json
from collections.abc import Mapping
from typing import Any

from divsyn_jax.model import decoder
from divsyn_jax.training.recipe import Recipe


def write_model_card(
    recipe: Recipe,
    progress: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    chat: bool,
    puts_bos: bool,
) -> str:
    """Markdown with the recipe, the diversity level and its scores, the data's fingerprints and the
    figures of eval.json.

    Args:
      progress: of the exported checkpoint: its step, and the identity of its data.
      evaluation: the run's eval.json of this very checkpoint, or {}.
      chat: a chat template goes along.
      puts_bos: the tokenizer opens a text with BOS.
    """
    shape = recipe.model
    parts = [
        "---\nlibrary_name: transformers\npipeline_tag: text-generation\n---\n",
        f"# Language model, {decoder.count_params(shape):,} parameters\n",
        f"Trained with divsyn_jax for {progress['step']:,} steps of {recipe.global_batch} sequences"
        f" of {recipe.seq_len} tokens; "
        + (
            "fine-tuned for chat: use the chat template."
            if chat
            else "a base model: it continues text."
        ),
        "\nA document begins with the BOS token, which the tokenizer adds.\n"
        if puts_bos
        else "\nThe tokenizer adds no BOS token; EOS ends a document.\n",
        "## Diversity level\n",
        _table(recipe.level) if recipe.level else "None is bound to this run.\n",
        "## Data\n",
        _table(_data(progress.get("data", {}))),
        "## Evaluation\n",
        _evaluation(evaluation),
        "## Recipe\n",
        f"```json\n{json.dumps(recipe.to_dict(), indent=1)}\n```\n",
    ]
    return "\n".join(parts)


def _data(data: Mapping[str, Any]) -> dict[str, Any]:
    rows = {key: value for key, value in data.items() if key != "sources"}
    for name, source in data.get("sources", {}).items():
        rows[f"source {name}"] = ", ".join(f"{key} {value}" for key, value in source.items())
    return rows


def _evaluation(evaluation: Mapping[str, Any]) -> str:
    lines = ["| | metric | value | standard error | n |", "|---|---|---|---|---|"]
    for name, domain in evaluation.get("domains", {}).items():
        error = domain["bits_per_byte_stderr"]
        lines.append(
            f"| {name} | bits per byte | {domain['bits_per_byte']:.4f} | {_number(error)} |"
            f" {domain['documents']} |"
        )
    for name, task in evaluation.get("tasks", {}).items():
        lines.append(
            f"| {name} | {task['metric']} | {task['value']:.4f} | {_number(task['stderr'])} |"
            f" {task['items']} |"
        )
    for name in ("mean", "mean_without_copa"):
        if evaluation.get(name):
            mean = evaluation[name]
            lines.append(
                f"| {name} | of {mean['tasks']} tasks | {mean['value']:.4f} |"
                f" {_number(mean['stderr'])} | {mean['items']} |"
            )
    return "\n".join(lines) + "\n" if len(lines) > 2 else "This checkpoint was not evaluated.\n"


def _table(rows: Mapping[str, Any]) -> str:
    lines = ["| | |", "|---|---|"]
    for key, value in rows.items():
        lines.append(
            f"| {key} | {json.dumps(value) if isinstance(value, dict | list) else value} |"
        )
    return "\n".join(lines) + "\n"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.4f}"
