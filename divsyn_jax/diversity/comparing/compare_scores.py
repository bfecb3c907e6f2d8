"""Is a new corpus less diverse than the old one? One line, and an exit code for CI.

  divsyn compare old.jsonl new.jsonl --fail_if=less_diverse
  divsyn compare scores/old scores/new --fail_if=less_diverse --margin=0.1 --unsure=fail
  divsyn compare scores/new --card=CARD.md --badge=badge.svg

OLD and NEW are both corpora (in any form that score_corpus reads; they are scored by the embedding
agent at equal numbers of documents), or both folders of finished scores (the one that holds
score.json), which have to be made alike. The line says by what factor NEW has more effective
clusters, with the 95% interval and p.

--fail_if=less_diverse exits with 1 when NEW is *shown* to be less diverse: when the whole interval
of the ratio lies under 1 - MARGIN, not when the point does. more_diverse is the mirror image,
different either. When the interval reaches over that bound nothing is shown: the line says that it
cannot be told, and --unsure decides (pass: exit 0, the default; fail: exit 1).

Exit codes: 0 the condition does not hold; 1 it holds; 2 bad input. --card and --badge are of NEW,
or of the only score named.
"""

import contextlib
import dataclasses
import os
import pathlib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from divsyn_jax.base import commandline, files, setting_flags, terminal_text
from divsyn_jax.base.errors import UserError
from divsyn_jax.base.setting_flags import Flag
from divsyn_jax.data.readers import flags as corpus_flags
from divsyn_jax.data.readers.corpus import split_name
from divsyn_jax.diversity.settings import ScoreSettings

if TYPE_CHECKING:
    from divsyn_jax.diversity.comparing.verdict import Change
    from divsyn_jax.diversity.redundancy.records import Redundancy
    from divsyn_jax.diversity.score_records import Score

_DRAWS = 1_000  # only the card shows what is made of draws


@dataclasses.dataclass(frozen=True)
class _Gate:
    """When to fail, and what to write.

    Attributes:
      fail_if: what exits with 1 when it is shown.
      margin: share of OLD's effective clusters that NEW may lose (or gain) unpunished.
      unsure: what becomes of a comparison that cannot tell.
      card: Markdown file to write a card of NEW to.
      badge: .svg or .json (for shields.io) file to write a badge of NEW to.
    """

    fail_if: Literal["less_diverse", "more_diverse", "different"] | None = None
    margin: Annotated[float, Flag(at_least=0, at_most=0.99)] = 0.0
    unsure: Literal["pass", "fail"] = "pass"
    card: pathlib.Path | None = None
    badge: pathlib.Path | None = None


_GATE = setting_flags.define(
    _Gate, {"run": ["fail_if", "margin", "unsure"], "output": ["card", "badge"]}
)
_SCORE = setting_flags.define(
    ScoreSettings,
    {
        "corpora": ["max_documents", "match_lengths"],
        "agent": ["threshold", "embedding_model"],
        "draws": ["seed"],
        "output": ["embedding_cache"],
    },
    without=setting_flags.THE_REST,
)
setting_flags.adopt(corpus_flags)


def run() -> None:
    """Console entry."""
    commandline.run(main, __doc__)


def main(arguments: list[str]) -> None:
    """Compare the two that the positional arguments name."""
    gate = _GATE.given()
    _check(arguments, gate)
    from divsyn_jax.diversity import baselines
    from divsyn_jax.diversity.comparing import badge, card, verdict

    if gate.badge is not None:
        badge.check_badge(gate.badge)
    if gate.card is not None:
        files.check_no_folder(gate.card)
    named = [(name, _folder_of(spec)) for name, spec in map(split_name, arguments)]
    are_scores = [_is_score(spec) for _, spec in named]
    if len(set(are_scores)) > 1:
        missing = [spec for _, spec in named if not os.path.lexists(spec) and "://" not in spec]
        if missing:
            raise UserError(f"{missing[0]}: no such file or folder")
        raise UserError(
            f"{' and '.join(arguments)}: a corpus and a score; give both as corpora, or score the"
            " corpus first (score_corpus) and give both scores"
        )
    if are_scores[0]:
        scores, found = _read(named)
    else:
        read = corpus_flags.read_options()
        settings = _SCORE.given(draws=_DRAWS, baselines=(baselines.NONE,), read=read)
        scores, found = _scored(named, settings, bool(gate.card))
    changed: Change | None = None
    try:
        if len(scores) == 2:
            changed = verdict.change(*scores)
        if gate.card is not None:
            files.write_text(gate.card, card.score_card(scores[-1], found, changed))
        if gate.badge is not None:
            badge.write_badge(gate.badge, scores[-1], changed)
    except (ArithmeticError, LookupError, ValueError) as error:
        if not are_scores[0]:
            raise
        raise _damaged([spec for _, spec in named], scores, error) from None
    if changed is None:
        print(f"written: {', '.join(str(path) for path in (gate.card, gate.badge) if path)}")
        return
    fails, why = _decision(changed, gate)
    print(f"{changed.sentence().text()}{why}", flush=True)
    if fails:
        sys.exit(1)


def _check(arguments: Sequence[str], gate: _Gate) -> None:
    """Raise `UserError` for arguments and flags that do not go together."""
    program = commandline.program()
    if len(arguments) == 1 and (gate.card or gate.badge) and gate.fail_if is None:
        return
    if len(arguments) != 2:
        raise UserError(
            f"{len(arguments)} corpora named, two are compared: {program} OLD NEW"
            " --fail_if=less_diverse; --card and --badge alone take one"
        )
    if gate.fail_if is None and (gate.margin or gate.unsure != "pass"):
        raise UserError("--margin and --unsure go with --fail_if, e.g. --fail_if=less_diverse")


def _decision(changed: "Change", gate: _Gate) -> tuple[bool, str]:
    """Whether to fail, and the end of the line that says why."""
    if gate.fail_if is None:
        return False, ""
    asked = f"--fail_if={gate.fail_if}"
    if gate.margin:
        asked += f" by more than {gate.margin:.3g}"
    holds = changed.holds(gate.fail_if, gate.margin)
    if holds is None:
        fails = gate.unsure == "fail"
        what = "fails" if fails else "passes"
        return fails, f" {asked}: cannot be told, which --unsure={gate.unsure} {what}."
    return holds, f" {asked}: {'holds' if holds else 'does not hold'}."


def _folder_of(spec: str) -> str:
    """The folder of a score that is named by the file in it; anything else as it is."""
    path = pathlib.Path(spec)
    return str(path.parent) if path.name == "score.json" and path.is_file() else spec


def _is_score(spec: str) -> bool:
    """Whether a folder of a score is named; raises `UserError` for one that holds several."""
    folder = pathlib.Path(spec)
    if (folder / "score.json").is_file():
        return True
    if (folder / "comparison.json").is_file():
        inside = sorted(path.parent.name for path in folder.glob("*/score.json"))
        raise UserError(
            f"{spec}: holds the scores of several corpora; name one of them, e.g."
            f" {folder / inside[0] if inside else folder / 'NAME'}"
        )
    return False


def _read(named: Sequence[tuple[str, str]]) -> "tuple[list[Score], Redundancy | None]":
    from divsyn_jax.diversity import score_file
    from divsyn_jax.diversity.baselines.shared_text import JUDGED_LENGTHS_APART
    from divsyn_jax.diversity.comparing import verdict
    from divsyn_jax.diversity.redundancy.clusters_file import read_redundancy

    scores = [score_file.read_score(spec) for _, spec in named]
    if len(scores) == 2:
        scores = list(verdict.renamed_apart(*scores))
        note = verdict.lengths_note(scores, JUDGED_LENGTHS_APART)
        if note:
            _remark(note)
    return scores, read_redundancy(pathlib.Path(named[-1][1]))


def _damaged(specs: Sequence[str], scores: "Sequence[Score]", error: Exception) -> UserError:
    """What to say of read scores that nothing can be computed from: their values have the right
    types, and are together none that a score has. The one that fails by itself is named.
    """
    from divsyn_jax.diversity.comparing import card, verdict

    at_fault = []
    for spec, score in zip(specs, scores, strict=True):
        try:
            card.score_card(score, None, verdict.change(*verdict.renamed_apart(score, score)))
        except (ArithmeticError, LookupError, ValueError):
            at_fault.append(spec)
    places = " and ".join(f"{spec}/score.json" for spec in at_fault or specs)
    what = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
    return UserError(
        f"{places}: damaged, its numbers are none of a score ({what}); score the corpus again with"
        " score_corpus"
    )


def _scored(
    named: Sequence[tuple[str, str]], settings: ScoreSettings, wants_clusters: bool
) -> "tuple[list[Score], Redundancy | None]":
    from divsyn_jax.diversity import baselines, legibility, scoring

    names = [name for name, _ in named]
    if len(set(names)) < len(names):
        names = [f"{name} (old)" if place == 0 else f"{name} (new)"
                 for place, name in enumerate(names)]  # fmt: skip
    samples = {
        name: scoring.sample_corpus(spec, settings)
        for name, (_, spec) in zip(names, named, strict=True)
    }
    for name, sample in samples.items():
        for problem in sample.problems:
            _remark(f"{name}: skipped {problem}")
    shared = baselines.common_shared_text(
        [scoring.corpus_shared_text(sample, settings) for sample in samples.values()],
        settings.match_lengths,
    )
    for note in shared.notes():
        _remark(note)
    with contextlib.closing(scoring.make_agent(settings, samples)) as agent:
        made = scoring.score_corpora(samples, agent, shared, settings)
        scores = [made[name][0] for name in names]
        for score in scores:
            warned = legibility.warning(score)
            if warned:
                _remark(f"WARNING: {warned}")
        found = None
        if wants_clusters:
            last = names[-1]
            found = scoring.redundancy(last, samples[last], agent, shared, settings)
    return scores, found


def _remark(text: str) -> None:
    """What else to know; the one line on standard output stays the answer."""
    print(terminal_text.one_line(text), file=sys.stderr)


if __name__ == "__main__":
    run()
