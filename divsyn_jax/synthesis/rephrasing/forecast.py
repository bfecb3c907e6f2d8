"""What rephrasing a corpus will ask and cost, before anything is asked."""

from collections.abc import Sequence

from divsyn_jax.endpoint.forecast import PROBE_NOTE, Planned, forecast
from divsyn_jax.endpoint.settings import EndpointSettings
from divsyn_jax.endpoint.tokens import TokenRange, estimate_tokens
from divsyn_jax.synthesis.rephrasing import formats as rephrasing_formats
from divsyn_jax.synthesis.rephrasing.rephrasing_settings import RephrasingSettings
from divsyn_jax.synthesis.rephrasing.writer import RephrasingPlan

_MEASURED = 200  # sources whose real prompts are counted
_VERDICT = TokenRange(15, 80)


def rephrasing_dry_run(
    plan: RephrasingPlan, endpoints: Sequence[EndpointSettings], settings: RephrasingSettings
) -> str:
    """A table of calls, tokens and cost for each model, for people. Raises `UserError` for a corpus
    that cannot be read.
    """
    cells = plan.cells([endpoint.model for endpoint in endpoints], settings)
    prompts, sizes = [], []
    for number, source in enumerate(cells.documents()):
        if number < _MEASURED:
            form = rephrasing_formats.REPHRASING_FORMATS[plan.formats[number % len(plan.formats)]]
            asked = rephrasing_formats.rephrasing_prompt(
                source.text, form, source.digest, 0, plan.seed, settings.source_characters
            )
            prompts.append(estimate_tokens(asked.system, asked.user))
            sizes.append(estimate_tokens("", source.text))
    prompt, size = _mean(prompts), _mean(sizes)
    each = cells.sources * len(plan.formats) * plan.generations
    written = TokenRange(size.low // 2, 2 * size.high)
    both = TokenRange(prompt.low + written.low, prompt.high + written.high)
    lines = [
        f"{cells.sources:,} documents x {len(plan.formats)} formats x {plan.generations} ="
        f" {each:,} rephrasings a model"
    ]
    for endpoint in endpoints:
        plans = [
            Planned("canary", 1, prompt, TokenRange(30, 200)),
            Planned("rephrase", each, prompt, written),
            Planned("entailment", round(each * settings.entailment), both, _VERDICT),
        ]
        lines += ["", f"{endpoint.model} at {endpoint.base_url}"]
        lines.append(forecast(plans, endpoint).table(endpoint))
    return "\n".join(
        [
            *lines,
            "",
            f"Counted without rejects: at most {plan.candidates} candidates are asked for one.",
            PROBE_NOTE,
            (
                "Tokens are estimated without the model's tokenizer, and nothing is repeated: allow"
                " for faults."
            ),
            "Nothing was asked.",
        ]
    )


def _mean(ranges: Sequence[TokenRange]) -> TokenRange:
    count = len(ranges)
    return TokenRange(sum(r.low for r in ranges) // count, sum(r.high for r in ranges) // count)
