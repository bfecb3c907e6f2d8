"""What a corpus will ask and cost, before anything is asked."""

import dataclasses
import itertools
from collections.abc import Sequence

from divsyn_jax.data.readers.corpus import CorpusReader, ReadOptions
from divsyn_jax.endpoint.forecast import PROBE_NOTE, Planned, forecast
from divsyn_jax.endpoint.request import Request
from divsyn_jax.endpoint.settings import EndpointSettings
from divsyn_jax.endpoint.tokens import TokenRange, estimate_tokens
from divsyn_jax.synthesis.by_endpoint import templates
from divsyn_jax.synthesis.by_endpoint.forms import AnswerForm
from divsyn_jax.synthesis.by_endpoint.grid import Grid

_MEASURED = 200  # cells, whose real prompts are counted
_DOCUMENT = TokenRange(450, 1600)  # 3 to 5 passages, a question, an explanation, keywords and JSON
_TOPICS = TokenRange(30, 250)  # one to three paths and their keywords


def generation_dry_run(
    grid: Grid, endpoints: Sequence[EndpointSettings], candidates: int, form: AnswerForm
) -> str:
    """A table of calls, tokens and cost for each model, for people."""
    prompts = [form.prompt(cell, 0).request for cell in itertools.islice(grid.cells(), _MEASURED)]
    records = len(grid) * grid.generations
    title = f"{grid.template}: {len(grid):,} cells x {grid.generations} {form.kind} = {records:,}"
    each = form.kind.removesuffix("s")
    article = "an" if each[0] in "aeiou" else "a"
    note = (
        f"Counted without rejects: at most {candidates} candidates are asked for {article} {each}."
    )
    answer = _DOCUMENT
    if form.is_plain or form.kind != "documents":
        answer = TokenRange(30, prompts[0].max_output_tokens)
    return _bill(title, Planned(each, records, _each(prompts), answer), endpoints, note)


def topics_dry_run(
    spec: str, options: ReadOptions, most_documents: int, endpoints: Sequence[EndpointSettings]
) -> str:
    """The same of finding topics. Raises `UserError` for a corpus that cannot be read."""
    prompts, documents = [], 0
    for number, document in enumerate(
        itertools.islice(CorpusReader(spec, options), most_documents)
    ):
        documents += 1
        if number < _MEASURED:
            prompts.append(templates.topics_prompt(document.text, number, 0))
    return _bill(
        f"topics of {documents:,} documents",
        Planned("topics", documents, _each(prompts), _TOPICS),
        endpoints,
    )


def _each(prompts: Sequence[Request]) -> TokenRange:
    """Tokens of a prompt, on average."""
    ranges = [estimate_tokens(prompt.system, prompt.user) for prompt in prompts]
    return TokenRange(
        *(
            sum(sizes) // len(ranges)
            for sizes in zip(*((r.low, r.high) for r in ranges), strict=True)
        )
    )


def _bill(title: str, plan: Planned, endpoints: Sequence[EndpointSettings], *notes: str) -> str:
    lines = [title]
    # As many texts as a prompt shows, so about as long as one.
    probe = dataclasses.replace(plan, purpose="canary", calls=1, output_tokens=TokenRange(30, 200))
    for number, endpoint in enumerate(endpoints):
        calls = len(range(number, plan.calls, len(endpoints)))  # the endpoints take turns
        shared = dataclasses.replace(plan, calls=calls)
        lines += [
            "",
            f"{endpoint.model} at {endpoint.base_url}",
            forecast([probe, shared], endpoint).table(endpoint),
        ]
    lines += [
        "",
        *notes,
        PROBE_NOTE,
        (
            "Tokens are estimated without the model's tokenizer, and nothing is repeated: allow for"
            " faults."
        ),
    ]
    return "\n".join([*lines, "Nothing was asked."])
