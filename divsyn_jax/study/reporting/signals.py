"""The table of outcomes and their noise, and how the primary one was chosen."""

from divsyn_jax.base.html import Html, Part, join, markup, number, p_value, table
from divsyn_jax.study.controls.signals import LEAST_SIGNAL
from divsyn_jax.study.reporting.figures import outcome_label
from divsyn_jax.study.study_file import OutcomeSignal, StudyResults


def signal_parts(study: StudyResults) -> list[Part]:
    """Signal and noise of every outcome; nothing for one seed."""
    signals = study.get("signals", [])
    if not signals:
        return []
    return [
        Html("<h2>Signal and noise of the outcomes</h2>"),
        _chosen(study),
        table(_HEADER, [_row(each) for each in signals], stacked=True),
        markup(
            '<p class="soft">Signal: the spread of the corpora beyond what seeds add to it. The'
            " noise of a level may differ from another&#8217;s; a small p says that it does, and"
            " the pooled noise then stands for neither. Beyond wrong answers: the same ratio of"
            " what the right answer has more than wrong ones to the same question. An outcome"
            " counts where both ratios are {} or more.</p>",
            number(LEAST_SIGNAL),
        ),
    ]


_HEADER = (
    "performance",
    "signal",
    "noise (sd of seeds)",
    "signal to noise",
    "by level",
    "p of equal noise",
    "beyond wrong answers",
    "counts",
)


def _row(signal: OutcomeSignal) -> list[Part]:
    known = [ratio for ratio in signal["by_level"].values() if ratio is not None]
    ends = f"{min(known):.1f} to {max(known):.1f}" if known else ""
    beyond = signal["beyond_wrong"]
    return [
        outcome_label(signal["outcome"]),
        number(signal["signal"], 4),
        number(signal["noise"], 4),
        number(signal["ratio"], 1),
        ends,
        p_value(signal["equal_noise_p"]),
        "" if beyond is None else number(beyond, 1),
        "yes" if signal["counts"] else "no",
    ]


def _chosen(study: StudyResults) -> Html:
    pilot = study.get("pilot")
    if pilot is None:
        return Html("")
    rows = [_row(each) for each in pilot["signals"]]
    return join(
        [
            markup(
                '<p class="note">The primary outcome is <b>{}</b>, chosen on the pilot seeds {}'
                " before any result of the seeds of this study was read: {}. The pilot seeds are in"
                " no other number of this page.</p>",
                outcome_label(pilot["primary"]),
                ", ".join(map(str, pilot["seeds"])),
                pilot["rule"],
            ),
            Html("<h3>On the pilot seeds</h3>"),
            table(_HEADER, rows, stacked=True),
            Html("<h3>On the seeds of the study</h3>"),
        ]
    )
