"""What the factors of a factorial study did: its figure, and its part of the page."""

from collections.abc import Sequence

from divsyn_jax import statistics
from divsyn_jax.base.html import Html, Part, details, interval, join, markup, number, p_value, table
from divsyn_jax.diversity.reporting.tables import words_of
from divsyn_jax.statistics.factorial import EffectRecord
from divsyn_jax.study.reporting.figures import LABELS, outcome_label
from divsyn_jax.study.study_file import FactorialResults, OutcomeEffects, StudyResults

_TOLD, _UNTOLD, _SHAM, _INK = "#1f6fb4", "#9aa5af", "#c0571a", "#22313f"


def effects_figure(study: StudyResults):
    """The main effects on every outcome, a panel each. The study has factors."""
    import matplotlib.pyplot as plt

    factorial = study["factorial"]
    outcomes = factorial["outcomes"]
    columns = min(3, len(outcomes))
    rows = -(-len(outcomes) // columns)
    height = 0.9 + 0.42 * len(factorial["factors"])
    figure, axes = plt.subplots(
        rows,
        columns,
        figsize=(4.1 * columns, height * rows),
        squeeze=False,
        layout="constrained",
        sharey=True,
    )
    figure.get_layout_engine().set(h_pad=0.12)  # titles keep apart from the axis above them
    for axis in axes.flat[len(outcomes) :]:
        axis.set_visible(False)
    for axis, outcome in zip(axes.flat, outcomes, strict=False):
        _forest(axis, _mains(outcome), factorial)
        axis.set_title(outcome_label(outcome["outcome"]), fontsize=10)
        axis.set_xlabel(f"effect, {_unit(study, outcome)}", fontsize=9)
    return figure


def _forest(axis, effects: Sequence[EffectRecord], factorial: FactorialResults) -> None:
    axis.axvline(0, color=_INK, linewidth=0.8)
    for place, effect in enumerate(effects):
        told = is_told(effect)
        color = _SHAM if effect["sham"] else _TOLD if told else _UNTOLD
        low, high = effect["ci_low"], effect["ci_high"]
        if low is not None and high is not None:
            axis.plot([low, high], [place, place], color=color, linewidth=2)
        face = color if told else "white"
        axis.plot(effect["value"], place, "o", color=color, markerfacecolor=face, markersize=6)
    axis.set_yticks(range(len(effects)))
    axis.set_yticklabels([_factor_label(effect["name"], factorial) for effect in effects])
    axis.set_ylim(len(effects) - 0.5, -0.5)
    axis.tick_params(labelsize=8.5)
    axis.spines[["top", "right"]].set_visible(False)
    axis.margins(x=0.1)


def is_told(effect: EffectRecord) -> bool:
    """Whether an effect is told from none, corrected for the effects beside it."""
    return effect["p_holm"] is not None and effect["p_holm"] < statistics.ALPHA


def factorial_parts(study: StudyResults) -> list[Part]:
    """The factorial part of the page; nothing where the study has no factors."""
    if "factorial" not in study:
        return []
    factorial = study["factorial"]
    primary = next(
        each for each in factorial["outcomes"] if each["outcome"] == study["primary_outcome"]
    )
    return [
        Html("<h2>Which diversity buys which generalisation</h2>"),
        _note(study, primary),
        _transfer_matrix(study),
        _interactions(factorial),
        _errors(study),
        Html("<h2>What each metric sees</h2>"),
        _response_matrix(factorial),
        Html("<h2>Which metric goes with which outcome</h2>"),
        _predictions(factorial),
    ]


def _mains(outcome: OutcomeEffects) -> list[EffectRecord]:
    return [effect for effect in outcome["effects"] if effect["order"] == 1]


def _unit(study: StudyResults, outcome: OutcomeEffects) -> str:
    of = next(each for each in study["outcomes"] if each["name"] == outcome["outcome"])
    if of["test"].endswith("/bits_per_byte"):
        return "bits per byte (below 0 is better)"
    return "above 0 is better" if of["higher_is_better"] else "below 0 is better"


def _metric_label(metric: str) -> str:
    return LABELS.get(metric) or words_of(metric)


def _factor_label(name: str, factorial: FactorialResults) -> str:
    low, high = factorial["factors"][name]
    words = f"{name.replace('_', ' ')} {str(low).replace('_', ' ')} to"
    sham = " (sham)" if name in factorial["shams"] else ""
    return f"{words} {str(high).replace('_', ' ')}{sham}"


def _note(study: StudyResults, primary: OutcomeEffects) -> Html:
    factorial = study["factorial"]
    told = [effect for effect in _mains(primary) if is_told(effect)]
    untold = [effect["name"].replace("_", " ") for effect in _mains(primary) if not is_told(effect)]
    found = "; ".join(
        f"{_factor_label(effect['name'], factorial)}: {effect['value']:+z.3f}" for effect in told
    )
    detectable = primary["detectable"]
    power = (
        ""
        if detectable is None
        else f" A main effect of {detectable:.4f} is found in 80% of such studies."
    )
    return markup(
        '<p class="note">{} corpora vary {} kinds of diversity independently ({}), beside a sham'
        " factor, the order of documents in the file, that nothing should come of. On {}: {}. Not"
        " told from none: {}.{}</p>",
        len(factorial["corpora"]),
        len(factorial["factors"]) - len(factorial["shams"]),
        "every combination" if factorial["resolution"] == "full" else "a fraction, resolution IV",
        outcome_label(primary["outcome"]),
        found or "no effect is told from none",
        ", ".join(untold) or "none",
        power,
    )


def _cell(effect: EffectRecord) -> Part:
    shown = interval(effect, 3)
    return markup("<b>{}</b>", shown) if is_told(effect) else shown


def _transfer_matrix(study: StudyResults) -> Html:
    """Factor x outcome: what a kind of diversity does to text that is new on each axis."""
    factorial = study["factorial"]
    outcomes = factorial["outcomes"]
    rows: list[list[Part]] = []
    for place, effect in enumerate(_mains(outcomes[0])):
        cells = [_cell(_mains(outcome)[place]) for outcome in outcomes]
        rows.append([_factor_label(effect["name"], factorial), *cells])
    header = ["more of", *(outcome_label(outcome["outcome"]) for outcome in outcomes)]
    return join(
        [
            table(header, rows, stacked=True),
            Html(
                '<p class="soft">The outcome at the high level of a factor less that at the low'
                " one, over all combinations of the others, with its 95% t interval; bits per byte"
                " fall where a model predicts better. Bold: told from none at 5%, corrected for the"
                " main effects on that outcome (Holm). Held-out text is new to every corpus on the"
                " axis that its column names and on no other.</p>"
            ),
        ]
    )


def _interactions(factorial: FactorialResults) -> Html:
    rows: list[list[Part]] = [
        [
            " or ".join([effect["name"], *effect["aliases"]]),
            outcome_label(outcome["outcome"]),
            interval(effect, 3),
            p_value(effect["p_holm"]),
        ]
        for outcome in factorial["outcomes"]
        for effect in outcome["effects"]
        if effect["order"] > 1
    ]
    if not rows:
        return Html("")
    told = sum(
        effect["order"] > 1 and is_told(effect)
        for outcome in factorial["outcomes"]
        for effect in outcome["effects"]
    )
    return details(
        f"{told} of {len(rows)} interactions are told from none",
        Html(
            '<p class="soft">Half of what a factor does at the high level of the other, less what'
            " it does at its low level. Effects joined by <i>or</i> cannot be told apart by this"
            " design.</p>"
        ),
        table(["interaction", "performance", "effect", "p (Holm)"], rows),
    )


def _errors(study: StudyResults) -> Html:
    rows: list[list[Part]] = [
        [
            outcome_label(outcome["outcome"]),
            number(outcome["error_sd"], 4),
            outcome["error_of"],
            str(outcome["degrees_of_freedom"]),
            number(outcome["seed_sd"], 4),
            p_value(outcome["lack_of_fit_p"]),
            number(outcome["detectable"], 4),
        ]
        for outcome in study["factorial"]["outcomes"]
    ]
    header = ["performance", "sd of a run", "error of", "degrees of freedom", "sd of seeds alone"]
    return details(
        "What the effects are judged by",
        table([*header, "p that corpora differ by no more", "found in 80%"], rows),
        Html(
            '<p class="soft">Seeds are blocks: what all corpora of a seed share is taken off.'
            " Corpora have an error of their own, seen in interactions of three factors and in the"
            " twin; where it shows beside that of seeds (p under 0.25), effects are judged by it"
            " alone. Intervals made so cover 93 to 97% in simulation"
            " (tools/benchmarks/simulate_factorial.md).</p>"
        ),
    )


def _response_matrix(factorial: FactorialResults) -> Html:
    """Metric x factor: the share of a metric's variance that each factor carries."""
    factors = list(factorial["factors"])
    rows: list[list[Part]] = []
    blind: list[str] = []
    for response in factorial["responses"]:
        shares = response["shares"]
        if shares is None:
            blind.append(response["metric"])
            continue
        cells = [_share(shares[name], response["effects"][name]) for name in factors]
        rows.append(
            [
                _metric_label(response["metric"]),
                *cells,
                f"{shares['interactions']:.0%}",
                f"{shares['rest']:.0%}",
                f"{number(response['low'])} to {number(response['high'])}",
            ]
        )
    header = ["metric", *(name.replace("_", " ") for name in factors), "interactions", "rest"]
    return join(
        [
            table([*header, "range"], rows, stacked=True),
            markup(
                '<p class="soft">The share of the variance of a metric between the corpora that'
                " each factor carries (positive metrics on a log scale); the arrow says whether the"
                " metric rises or falls with the factor. Bold: half or more. A metric that carries"
                " one factor alone says nothing about the others.{}</p>",
                f" The same for every corpus: {', '.join(blind)}." if blind else "",
            ),
        ]
    )


def _share(share: float, effect: float) -> Part:
    shown = f"{share:.0%}"
    if share >= 0.01:
        shown += " ↑" if effect > 0 else " ↓"
    return markup("<b>{}</b>", shown) if share >= 0.5 else shown


def _predictions(factorial: FactorialResults) -> Html:
    outcomes = [outcome["outcome"] for outcome in factorial["outcomes"]]
    by_cell = {(row["metric"], row["outcome"]): row for row in factorial["predictions"]}
    metrics = list(dict.fromkeys(row["metric"] for row in factorial["predictions"]))
    rows: list[list[Part]] = []
    for metric in metrics:
        cells: list[Part] = []
        for outcome in outcomes:
            row = by_cell.get((metric, outcome))
            if row is None:
                cells.append("")
                continue
            told = row["p_holm"] is not None and row["p_holm"] < statistics.ALPHA
            shown = f"{row['r']:.2f}"
            cells.append(markup("<b>{}</b>", shown) if told else shown)
        rows.append([_metric_label(metric), *cells])
    if not rows:
        return Html('<p class="soft">No metric has a value for every corpus.</p>')
    critical = factorial["predictions"][0]["critical_r"]
    return join(
        [
            table(["metric", *map(outcome_label, outcomes)], rows, stacked=True),
            markup(
                '<p class="soft">Pearson&#8217;s r over the {} corpora of the design, in which the'
                " factors are independent{}. Bold: told from none, corrected for the metrics"
                " beside it (Holm).</p>",
                len(factorial["corpora"]),
                "" if critical is None else f"; one test alone needs |r| of {critical:.2f}",
            ),
        ]
    )
