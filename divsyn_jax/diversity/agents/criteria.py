"""The criteria an LLM clusters by: attributes ("metadata") and scales ("metrics"), found in the
corpora themselves.

Chen et al. 2024 (arXiv 2410.15226), section 2.1: show J random documents and ask for 3 to 5 of
each; repeat M times; merge the proposals into a few entries; put each into one sentence, which
stands at the top of the clustering prompt. A criteria set is made once for all corpora of a
comparison. Several independent sets make visible how much the score owes to them."""

import asyncio
import collections
import dataclasses
import hashlib
import json
import pathlib
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from divsyn_jax.base import files
from divsyn_jax.base.commandline import Failure, UserError
from divsyn_jax.diversity.agents import prompts
from divsyn_jax.diversity.sampling import Sample

if TYPE_CHECKING:
    from divsyn_jax.endpoint.client import Client

CRITERIA_VERSION = 1
CRITERIA_KINDS = ("metadata", "metrics")
ENTRIES = 4  # of each kind in a set, as in the paper's appendix D.2
_NAMES_SHOWN, _DEFINITIONS_SHOWN = 60, 3  # of all proposals in a merging prompt: the most frequent
# What merging is tried with, in turn: entries to keep, names shown.
_MERGES = ((ENTRIES, _NAMES_SHOWN), (3, 20), (2, 10))
_STREAM = 3  # of the random streams of one --seed; sampling has 0 to 2


@dataclasses.dataclass(frozen=True)
class Criterion:
    """One entry:

    its name, how to read it off a document, and the sentence that stands in the clustering prompt.
    """

    name: str
    definition: str
    sentence: str


@dataclasses.dataclass(frozen=True)
class CriteriaSet:
    """Entries of both kinds."""

    metadata: tuple[Criterion, ...]
    metrics: tuple[Criterion, ...]

    def sentences(self, rng: np.random.Generator) -> list[str]:
        """The sentences of both kinds in turn (as in the paper), each kind in a fresh order, so
        that no entry leads always.
        """
        shuffled = [
            [entries[i] for i in rng.permutation(len(entries))]
            for entries in (self.metadata, self.metrics)
        ]
        longest = max(map(len, shuffled))
        return [
            f"{e[i].name}: {e[i].sentence}" for i in range(longest) for e in shuffled if i < len(e)
        ]


def load_criteria(path: str | pathlib.Path) -> tuple[CriteriaSet, ...]:
    """Read a criteria file (written by `save_criteria`, or by hand).

    Raises `UserError` naming file and place of what is wrong.
    """
    content = files.read_json(path)
    sets = content.get("sets") if isinstance(content, Mapping) else None
    if not isinstance(sets, list) or not sets:
        raise UserError(
            f'{path}: expected {{"sets": [{{"metadata": [...], "metrics": [...]}}, ...]}}; see'
            " --help"
        )
    return tuple(_parse_set(entry, f"{path}: sets[{number}]") for number, entry in enumerate(sets))


def _parse_set(entry: Any, place: str) -> CriteriaSet:
    if not isinstance(entry, Mapping):
        raise UserError(f"{place} is not an object with metadata and metrics")
    _refuse_unknown(entry, CRITERIA_KINDS, place)
    parsed = {}
    for kind in CRITERIA_KINDS:
        rows = entry.get(kind, [])
        if not isinstance(rows, list):
            raise UserError(f"{place}.{kind} is not a list; give a list of {{name, sentence}}")
        for number, row in enumerate(rows):
            texts = [
                row.get(key) if isinstance(row, Mapping) else None for key in ("name", "sentence")
            ]
            if not all(isinstance(text, str) and text.strip() for text in texts):
                raise UserError(f"{place}.{kind}[{number}] needs a name and a sentence, both text")
            _refuse_unknown(row, ("name", "definition", "sentence"), f"{place}.{kind}[{number}]")
            if not isinstance(row.get("definition", ""), str):
                raise UserError(
                    f"{place}.{kind}[{number}].definition is not text; give a text or leave it out"
                )
        parsed[kind] = tuple(
            Criterion(row["name"], row.get("definition", row["sentence"]), row["sentence"])
            for row in rows
        )
    if not any(parsed.values()):
        raise UserError(f"{place} holds no criteria; give at least one in metadata or metrics")
    return CriteriaSet(**parsed)


def _refuse_unknown(entry: Mapping[str, Any], known: Sequence[str], place: str) -> None:
    for key in entry:
        if key not in known:
            raise UserError(f"{place} has an unknown key {key!r}; it may hold {', '.join(known)}")


def to_json(sets: Sequence[CriteriaSet]) -> dict[str, Any]:
    """The content of a criteria file."""
    return {"version": CRITERIA_VERSION, "sets": [dataclasses.asdict(entry) for entry in sets]}


def save_criteria(
    path: pathlib.Path, sets: Sequence[CriteriaSet], made_by: Mapping[str, Any]
) -> None:
    """Write a criteria file with a record of how the sets were made."""
    files.write_json(path, {**to_json(sets), "made_by": dict(made_by)})


def criteria_fingerprint(sets: Sequence[CriteriaSet]) -> str:
    """Identifies the sets in scores and caches."""
    return hashlib.sha256(json.dumps(to_json(sets), sort_keys=True).encode()).hexdigest()


async def make_sets(
    client: "Client",
    samples: Sequence[Sample],
    *,
    sets: int,
    documents: int,
    proposals: int,
    characters: int,
    seed: int,
) -> tuple[CriteriaSet, ...]:
    """Ask the endpoint for `sets` independent criteria sets for the corpora together.

    Args:
      client: an open `endpoint.client.Client`.
      samples: the corpora; every proposal sees documents of one of them, each corpus in turn.
      sets: R.
      documents: J, documents a proposal sees.
      proposals: M, proposals a set is merged from.
      characters: documents are cut to this many characters.
      seed: of the documents shown.

    Raises:
      Failure: the endpoint gave no usable criteria for any set; a set without them is left out and
        named on standard error.
    """
    from tqdm import tqdm

    with tqdm(
        total=sets * proposals, desc="criteria", unit="proposal", mininterval=1, file=sys.stderr
    ) as progress:
        made = [
            _make_set(client, samples, number, documents, proposals, characters, seed, progress)
            for number in range(sets)
        ]
        # Of a set that fails the others are still finished: what was paid for is kept.
        found = await asyncio.gather(*made, return_exceptions=True)
    for each in found:
        if isinstance(each, BaseException) and not isinstance(each, Failure):
            raise each
    failures = [each for each in found if isinstance(each, Failure)]
    kept = tuple(each for each in found if isinstance(each, CriteriaSet))
    if not kept:
        raise failures[0]
    for failure in failures:
        print(f"{failure}; this set is left out, {len(kept)} of {sets} stay", file=sys.stderr)
    return kept


async def _make_set(
    client: "Client",
    samples: Sequence[Sample],
    number: int,
    documents: int,
    proposals: int,
    characters: int,
    seed: int,
    progress: Any,
) -> CriteriaSet:
    from divsyn_jax.endpoint.client import ContentFailure

    async def propose(proposal: int) -> dict[str, Any] | None:
        sample = samples[proposal % len(samples)]
        rng = np.random.default_rng([seed, _STREAM, number, proposal])
        chosen = rng.choice(len(sample), size=min(documents, len(sample)), replace=False)
        identity = {"criteria_set": number, "proposal": proposal}
        request = prompts.propose_criteria(
            [sample.texts[i] for i in chosen], characters, identity, seed
        )
        try:
            value = (await client.complete(request)).value
        except ContentFailure:
            # One proposal of many: counted in the usage table, and the others carry the set
            value = None
        progress.set_postfix_str(client.usage.spent(), refresh=False)
        progress.update()
        return value

    found = [
        value
        for value in await asyncio.gather(*map(propose, range(proposals)))
        if value is not None
    ]
    if len(found) < max(1, proposals // 2):
        raise Failure(
            f"criteria set {number + 1}: only {len(found)} of {proposals} proposals were usable; "
            "try another --model, or write the criteria yourself (--criteria=FILE)"
        )
    both = await asyncio.gather(*(_merge(client, kind, found, number) for kind in CRITERIA_KINDS))
    merged = dict(zip(CRITERIA_KINDS, both, strict=True))
    try:
        answer = await client.complete(prompts.summarise_criteria(merged, {"criteria_set": number}))
    except ContentFailure as failure:
        raise Failure(
            f"criteria set {number + 1}: no usable summary ({'; '.join(failure.problems)})"
        ) from None
    return CriteriaSet(
        **{
            kind: tuple(
                Criterion(entry["name"], entry["definition"], sentence)
                for entry, sentence in zip(merged[kind], answer.value[kind], strict=True)
            )
            for kind in CRITERIA_KINDS
        }
    )


async def _merge(
    client: "Client", kind: str, found: Sequence[Mapping[str, Any]], number: int
) -> list[dict[str, str]]:
    from divsyn_jax.endpoint.client import ContentFailure

    definitions: dict[str, list[str]] = collections.defaultdict(list)
    for proposal in found:
        for entry in proposal[kind]:
            definitions[" ".join(entry["name"].split()).casefold()].append(entry["definition"])
    by_frequency = sorted(definitions.items(), key=lambda item: (-len(item[1]), item[0]))
    problems: list[str] = []
    for attempt, (entries, shown) in enumerate(_MERGES):
        # Another attempt shows other proposals: fewer of the frequent ones, then every other one.
        chosen = by_frequency[:shown] if attempt < 2 else by_frequency[1::2][:shown] or by_frequency
        gathered = [(name, len(texts), texts[:_DEFINITIONS_SHOWN]) for name, texts in chosen]
        identity = {"criteria_set": number, **({"attempt": attempt} if attempt else {})}
        request = prompts.merge_criteria(kind, gathered, entries, identity)
        try:
            return list((await client.complete(request)).value["entries"])
        except ContentFailure as failure:
            problems = failure.problems
    raise Failure(
        f"criteria set {number + 1}: {kind} could not be merged, not even into"
        f" {_MERGES[-1][0]} entries ({'; '.join(problems)}); write criteria yourself"
        " (--criteria=FILE) or take another --model"
    )
