"""The flags every command that asks an endpoint shares."""

import dataclasses
import pathlib

from divsyn_jax.base import setting_flags
from divsyn_jax.base.errors import UserError
from divsyn_jax.endpoint.local_server.weights import PACKAGED_MODEL
from divsyn_jax.endpoint.settings import LOCAL, EndpointSettings

ENDPOINT = setting_flags.define(EndpointSettings, "endpoint", without=("seed", "backoff_s"))


def are_given() -> bool:
    """Whether an endpoint was named."""
    return bool(ENDPOINT.value("base_url") or ENDPOINT.value("model"))


def settings(seed: int) -> EndpointSettings:
    """The endpoint given on the command line; raises `UserError` naming a flag that is missing or
    wrong.
    """
    if ENDPOINT.value("base_url") == LOCAL and not ENDPOINT.value("model"):
        ENDPOINT.set_default("model", PACKAGED_MODEL)
    return ENDPOINT.given(seed=seed)


def several(seed: int) -> list[EndpointSettings]:
    """One endpoint for each model of `--model=A,B`, at the one address of --base_url or, with as
    many, each at its own.

    --max_calls and --max_cost are shared out equally, so that together they keep the limit.
    """
    common = settings(seed)  # first: it knows the model of a server of our own
    models, addresses = ((ENDPOINT.value(name) or "").split(",") for name in ("model", "base_url"))
    if len(set(models)) < len(models):
        raise UserError(f"--model={','.join(models)}: name each model once")
    if len(addresses) not in (1, len(models)):
        raise UserError(
            f"--base_url: {len(addresses)} addresses for {len(models)} models; give one, or one for"
            " each"
        )
    files = str(ENDPOINT.value("batch_out") or "").split(",")
    if files != [""] and len(files) != len(models):
        raise UserError(
            f"--batch_out: {len(files)} files for {len(models)} models; give one for each, as"
            " --batch_out=A,B"
        )
    calls, cost = common.max_calls, common.max_cost
    return [
        dataclasses.replace(
            common,
            model=model,
            base_url=address,
            max_calls=None if calls is None else calls // len(models),
            max_cost=None if cost is None else cost / len(models),
            batch_out=pathlib.Path(file) if file else None,
        )
        for model, address, file in zip(
            models,
            addresses * (len(models) // len(addresses)),
            files * (len(models) // len(files)),
            strict=True,
        )
    ]
