"""What a corpus will ask and cost, before anything is asked."""

import itertools
from collections.abc import Sequence

from divsyn_jax.endpoint.forecast import Planned, forecast
from divsyn_jax.endpoint.settings import EndpointSettings
from divsyn_jax.endpoint.tokens import TokenRange, estimate
from divsyn_jax.synthesis import templates
from divsyn_jax.synthesis.grid import Grid

_MEASURED = 200  # cells, whose real prompts are counted
_OUTPUT = TokenRange(450, 1600)  # of a document: 3 to 5 passages, a question, an explanation, keywords and JSON


def dry_run(grid: Grid, endpoints: Sequence[EndpointSettings], candidates: int) -> str:
    """A table of calls, tokens and cost for each model, for people."""
    prompts = [templates.document(cell, 0, grid.seed).request for cell in itertools.islice(grid.cells(), _MEASURED)]
    ranges = [estimate(prompt.system, prompt.user) for prompt in prompts]
    each = TokenRange(*(sum(sizes) // len(ranges) for sizes in zip(*((r.low, r.high) for r in ranges), strict=True)))
    documents = len(grid) * grid.generations
    lines = [f"{grid.template}: {len(grid):,} cells x {grid.generations} documents = {documents:,}"]
    for endpoint in endpoints:
        plan = Planned("document", documents // len(endpoints), each, _OUTPUT)
        lines += ["", f"{endpoint.model} at {endpoint.base_url}", forecast([plan], endpoint).table(endpoint)]
    return "\n".join(
        [
            *lines,
            "",
            f"Counted without rejects: at most {candidates} candidates are asked for a document.",
            "Tokens are estimated without the model's tokenizer, and nothing is repeated: allow for faults.",
            "Nothing was asked.",
        ]
    )
