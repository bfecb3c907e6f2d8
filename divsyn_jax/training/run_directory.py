"""What lies in a run directory beside checkpoints and metrics, and the checks that guard continuing
a run.
"""

import contextlib
import dataclasses
import fcntl
import json
import pathlib
import platform
from collections.abc import Mapping
from typing import IO, Any

import jax

from divsyn_jax.base import files, owned_folders
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data import stop_tokens
from divsyn_jax.data import tokenizer as tokenizers
from divsyn_jax.data.chat import TEMPLATE_FILE
from divsyn_jax.model.config import NUMERICS, ModelConfig, model_differences
from divsyn_jax.training import distributed, trained_run
from divsyn_jax.training.recipe import Recipe
from divsyn_jax.training.recipe_file import computed


def lock(workdir: pathlib.Path) -> IO:
    """Take the run directory for this process until the returned file is closed.

    Raises `UserError` when another has it.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    file = owned_folders.open_kept(workdir / ".lock", "r+b")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(
            f"{workdir}: another process is training here; wait for it or use another --workdir"
        ) from None
    return file


def check_same_recipe(workdir: pathlib.Path, recipe: Recipe) -> None:
    """Raise `UserError` naming the key when the run already in `workdir` has another recipe."""
    if not (workdir / "config.json").exists():
        return
    earlier = computed(trained_run.read_recipe(workdir).to_dict())
    for key, value in computed(recipe.to_dict()).items():
        if key == "steps" and recipe.epochs:
            continue  # follows from the data, whose identity checkpoints guard
        if earlier.get(key) != value:
            was, now = json.dumps(earlier.get(key)), json.dumps(value)
            raise UserError(
                f"{workdir}: config.{key} was {was}, now {now}; continue with the same recipe or"
                " use another --workdir"
            )


def write_run_directory(
    workdir: pathlib.Path, recipe: Recipe, tokenizer: tokenizers.Tokenizer, chat_template: str
) -> None:
    """Write the resolved recipe, the environment, the tokenizer and with it the chat template, ''
    for none. What ends a text of the run that this one starts from ends its texts, too.
    """
    files.write_json(workdir / "config.json", recipe.to_dict())
    files.write_json(
        workdir / "environment.json",
        {
            "python": platform.python_version(),
            "jax": jax.__version__,
            "devices": jax.device_count(),
            "device_kind": jax.devices()[0].device_kind,
            "processes": jax.process_count(),
        },
    )
    (workdir / "tokenizer").mkdir(exist_ok=True)
    tokenizer.copy_to(workdir / "tokenizer")
    start = pathlib.Path(recipe.init_from, "tokenizer")
    if recipe.init_from and (start / stop_tokens.STOPS_FILE).is_file():
        stops = stop_tokens.named_stops(start, tokenizer)
        stop_tokens.write_stops(workdir / "tokenizer", stops)
    if chat_template:
        files.write_text(workdir / "tokenizer" / TEMPLATE_FILE, chat_template)


def check_same_data(earlier: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    """Raise `UserError` naming the field when a checkpoint's data identity is not that of the data
    now given.
    """
    for field in now:
        if field == "source_order" and field not in earlier:  # by a version that did not hold it
            continue
        if field == "sources" and earlier[field] != now[field]:
            names = sorted(
                name
                for name in {*earlier[field], *now[field]}
                if earlier[field].get(name) != now[field].get(name)
            )
            raise UserError(
                f"data source {names[0]!r} is not what this run was trained on so far (weight or"
                " data fingerprint changed); restore it or use another --workdir"
            )
        if earlier[field] != now[field]:
            raise UserError(
                f"{field} was {earlier[field]}, now {now[field]}; continue with the same data order"
                " or use another --workdir"
            )


def with_model_of_start(recipe: Recipe, workdir: pathlib.Path) -> Recipe:
    """The recipe with the `model.*` of the run that it starts from, or of the run in `workdir`
    that it continues; how the model is computed (`NUMERICS`) stays the recipe's. Says what changes.

    Raises `UserError` where there is no run to start from.
    """
    continued = (workdir / "config.json").is_file()
    source = workdir if continued else pathlib.Path(recipe.init_from)
    if not (source / "config.json").is_file():
        raise UserError(f"init_from={source}: no run there (config.json is missing)")
    theirs = trained_run.read_recipe(source).model
    changed = [
        f"{name} {there} (the recipe has {here})"
        for name, (there, here) in model_differences(theirs, recipe.model).items()
    ]
    if changed and not continued:
        distributed.say(f"model.* is that of init_from={source}: {', '.join(changed)}")
    computed_so = {name: getattr(recipe.model, name) for name in NUMERICS}
    return dataclasses.replace(recipe, model=dataclasses.replace(theirs, **computed_so))


def initial_weights(
    source: pathlib.Path,
    abstract_params: Any,
    tokenizer: tokenizers.Tokenizer,
    model: ModelConfig,
) -> Any:
    """Parameters of another run's newest checkpoint, for `model`.

    Raises `UserError` unless it is a run with this tokenizer and of the same function (shapes,
    rotary embeddings, epsilon, tied), and the checkpoint can be read."""
    if not (source / "config.json").is_file():
        raise UserError(f"init_from={source}: no run there (config.json is missing)")
    run = trained_run.open_run(source)
    if run.tokenizer.sha256 != tokenizer.sha256:
        hashes = f"({run.tokenizer.sha256[:12]}) than these shards ({tokenizer.sha256[:12]})"
        raise UserError(f"init_from={source}: trained with another tokenizer {hashes}")
    differing = model_differences(run.recipe.model, model)
    if differing:
        found = [
            f"config.model.{name} is {there} there and {here} here"
            for name, (there, here) in differing.items()
        ]
        raise UserError(
            f"init_from={source}: {', '.join(found)}; leave --config.model.* out, and that run's"
            " are taken, or give its values"
        )
    with contextlib.closing(run.checkpoints()) as checkpoints:
        params, progress = checkpoints.restore_params(abstract_params)
    distributed.say(f"initial weights from {source}, step {progress['step']}")
    return params
