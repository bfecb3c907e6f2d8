"""The flags every command that asks an endpoint shares.

A request's limit of output tokens is what its answer needs; a model that reasons spends it before
it answers and needs --reasoning_tokens, some thousands, beside it."""

import dataclasses

from absl import flags

from divsyn_jax.base.commandline import UserError
from divsyn_jax.endpoint.settings import EndpointSettings

_BASE_URL = flags.DEFINE_string(
    "base_url", None, "Address of an OpenAI-compatible endpoint, up to and with /v1."
)
_MODEL = flags.DEFINE_string("model", None, "Model that answers, as the endpoint names it.")
_API_KEY_ENV = flags.DEFINE_string(
    "api_key_env", "OPENAI_API_KEY", "Environment variable that holds the API key."
)
_TEMPERATURE = flags.DEFINE_float("temperature", 0.0, "Sampling temperature.")
_REASONING_TOKENS = flags.DEFINE_integer(
    "reasoning_tokens",
    0,
    "Output tokens added to every request's limit for a model that reasons before it answers.",
)
_CONCURRENCY = flags.DEFINE_integer("concurrency", 16, "Calls in flight, at most.")
_REQUEST_TIMEOUT = flags.DEFINE_float(
    "request_timeout", 120.0, "Seconds one attempt of a call may take."
)
_REQUEST_DEADLINE = flags.DEFINE_float(
    "request_deadline", 600.0, "Seconds all attempts of a call may take together."
)
_PRICE_INPUT = flags.DEFINE_float(
    "price_input", None, "Price of a million prompt tokens; without it cost is unknown."
)
_PRICE_OUTPUT = flags.DEFINE_float("price_output", None, "Price of a million completion tokens.")
_MAX_CALLS = flags.DEFINE_integer(
    "max_calls", None, "Calls this run may send; it stops there, to be continued."
)
_MAX_COST = flags.DEFINE_float(
    "max_cost", None, "What this run may cost; it stops there, to be continued."
)


def given() -> bool:
    """Whether an endpoint was named."""
    return bool(_BASE_URL.value or _MODEL.value)


def settings_from_flags(seed: int) -> EndpointSettings:
    """The endpoint given on the command line; raises `UserError` naming a flag that is missing or
    wrong.
    """
    return EndpointSettings(
        base_url=_BASE_URL.value or "",
        model=_MODEL.value or "",
        api_key_env=_API_KEY_ENV.value,
        temperature=_TEMPERATURE.value,
        seed=seed,
        reasoning_tokens=_REASONING_TOKENS.value,
        concurrency=_CONCURRENCY.value,
        timeout_s=_REQUEST_TIMEOUT.value,
        deadline_s=_REQUEST_DEADLINE.value,
        price_input=_PRICE_INPUT.value,
        price_output=_PRICE_OUTPUT.value,
        max_calls=_MAX_CALLS.value,
        max_cost=_MAX_COST.value,
    )


def several_from_flags(seed: int) -> list[EndpointSettings]:
    """One endpoint for each model of `--model=A,B`, at the one address of --base_url or, with as
    many, each at its own.

    --max_calls and --max_cost are shared out equally, so that together they keep the limit.
    """
    models, addresses = ((flag.value or "").split(",") for flag in (_MODEL, _BASE_URL))
    if len(set(models)) < len(models):
        raise UserError(f"--model={_MODEL.value}: name each model once")
    if len(addresses) not in (1, len(models)):
        raise UserError(
            f"--base_url: {len(addresses)} addresses for {len(models)} models; give one, or one for"
            " each"
        )
    common = settings_from_flags(seed)
    calls, cost = common.max_calls, common.max_cost
    return [
        dataclasses.replace(
            common,
            model=model,
            base_url=address,
            max_calls=None if calls is None else calls // len(models),
            max_cost=None if cost is None else cost / len(models),
        )
        for model, address in zip(models, addresses * (len(models) // len(addresses)), strict=True)
    ]
