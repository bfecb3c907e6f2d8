"""What a score will ask and cost, before anything is asked."""

from collections.abc import Mapping

import numpy as np

from divsyn_jax.diversity.baselines import SharedText
from divsyn_jax.diversity.sampling import Sample, random_draws
from divsyn_jax.diversity.scoring import as_read
from divsyn_jax.diversity.settings import ScoreSettings

_DRAWS_MEASURED = 20  # of each corpus, whose real prompts are counted
_SENTENCE = (
    "subject of the document, read as its field, then its subfield, then the narrow question that"
    " it treats"
)


def scoring_dry_run(
    samples: Mapping[str, Sample], shared: SharedText, settings: ScoreSettings
) -> str:
    """A table of calls, tokens and cost with a range, for people; an offline agent asks nothing."""
    draws = settings.total_draws
    read = "\n".join(
        f"{name}: {sample.documents:,} documents, {len(sample):,} sampled, up to {draws:,} draws of"
        f" {settings.sample_size}"
        for name, sample in samples.items()
    )
    endpoint = settings.endpoint
    if endpoint is None:
        return f"{read}\nagent {settings.agent}: no calls, no cost"
    from divsyn_jax.endpoint.forecast import PROBE_NOTE, forecast

    shown = {name: as_read(sample, shared) for name, sample in samples.items()}
    planned = _planned(shown, settings) if settings.kind.asks_endpoint else []
    notes = []
    if planned and settings.judge.verification:
        notes.append("verify: at most; draws without a cluster of two documents need none.")
    if settings.pairs.pair_judge is not None:
        from divsyn_jax.diversity.pairs.by_endpoint import planned_pairs

        texts = {name: sample.texts for name, sample in shown.items()}
        planned.append(planned_pairs(texts, settings))
        notes.append("pairs: control pairs first; a judge that fails them is asked no further.")
    table = forecast(planned, endpoint).table(endpoint)
    notes += [
        PROBE_NOTE,
        (
            "Tokens are estimated without the model's tokenizer, and nothing is repeated: allow for"
            " faults."
        ),
    ]
    if settings.target_half_width:
        notes.append(f"--target_half_width={settings.target_half_width:g} may stop earlier.")
    if settings.rounds > 1:
        notes.append(f"Counted with --rounds={settings.rounds}; criteria are made once.")
    return "\n".join([read, "", table, "", *notes, "Nothing was asked."])


def _planned(samples: Mapping[str, Sample], settings: ScoreSettings) -> list:
    from divsyn_jax.diversity.agents import control_draws, criteria, prompts
    from divsyn_jax.endpoint.fence import fence
    from divsyn_jax.endpoint.forecast import Planned
    from divsyn_jax.endpoint.request import Request
    from divsyn_jax.endpoint.tokens import TokenRange, estimate_tokens

    judge, K = settings.judge, settings.sample_size

    def prompt_tokens(requests: list[Request]) -> TokenRange:
        ranges = [estimate_tokens(request.system, request.user) for request in requests]
        return TokenRange(
            int(np.mean([each.low for each in ranges])),
            int(np.mean([each.high for each in ranges])),
        )

    def texts(size: int) -> list[list[str]]:
        return [
            [sample.texts[place] for place in draw_K]
            for sample in samples.values()
            for draw_K in random_draws(
                sample, _DRAWS_MEASURED, min(size, len(sample)), settings.seed
            )
        ]

    planned = []
    sets = judge.criteria_sets
    if judge.criteria_file:
        sentences = [
            f"{each.name}: {each.sentence}"
            for each in _all_criteria(criteria.load_criteria(judge.criteria_file)[0])
        ]
    else:
        sentences = [f"Criterion {number}: {_SENTENCE}." for number in range(2 * criteria.ENTRIES)]
        proposals = [
            prompts.propose_criteria(each, judge.document_characters, {}, settings.seed)
            for each in texts(judge.criteria_documents)
        ]
        planned.append(
            Planned(
                "criteria_propose",
                sets * judge.criteria_proposals,
                prompt_tokens(proposals),
                TokenRange(400, 900),
            )
        )
        gathered = [("a name", 3, [_SENTENCE] * 3)] * min(60, 4 * judge.criteria_proposals)
        merging = prompt_tokens(
            [prompts.merge_criteria("metadata", gathered, criteria.ENTRIES, {})]
        )
        planned.append(Planned("criteria_merge", 2 * sets, merging, TokenRange(200, 600)))
        entries = [{"name": "a name", "definition": _SENTENCE}] * criteria.ENTRIES
        summing = prompt_tokens(
            [prompts.summarise_criteria({"metadata": entries, "metrics": entries}, {})]
        )
        planned.append(Planned("criteria_summarise", sets, summing, TokenRange(150, 400)))
    fenced = [fence(each, "0", judge.document_characters) for each in texts(K)]
    clustering = prompt_tokens([prompts.cluster(each, sentences, {}) for each in fenced])
    planned.insert(
        0, Planned("canary", 1, clustering, TokenRange(30, 200))
    )  # the start-up probe, as long as a draw
    # A draw that is asked again is verified again.
    # Draws of known answer, which are not verified; fewer where no documents are far apart.
    vectors = settings.control_variate or bool(settings.baselines)
    controls = control_draws.most_draws(vectors) if judge.control_draws and K > 1 else 0
    calls = len(samples) * settings.rounds * settings.total_draws
    calls += len(samples) * min(settings.retest, settings.total_draws)
    planned.append(Planned("cluster", calls + controls, clustering, TokenRange(25 * K, 80 * K)))
    if judge.verification:
        groups = [
            ("a name", "a reason of one sentence", [each.tags[0], each.tags[1]])
            for each in fenced[:1] * (K // 2)
        ]
        verifying = prompt_tokens([prompts.verify(each, groups, {}) for each in fenced])
        planned.append(Planned("verify", calls, verifying, TokenRange(30, 50 * (K // 2))))
    return planned


def _all_criteria(made) -> list:
    return [*made.metadata, *made.metrics]
