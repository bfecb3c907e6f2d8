"""The modern recipe (configs/modern.py) beside the paper's, element by element, at equal tokens.

  python tools/benchmarks/modern_recipe.py --work=DIR [--sizes=1m,4m --seeds=0,1,2 ...]

Trains, at each size of the ladder and with each seed, on the corpora given (real_wiki and
real_books of ../shared/data):

  recipes   the paper's (AdamW, linear decay, at the law's rate) and the modern one
  elements  the modern one without each of its elements
  shares    the modern one in a share of the tokens, each a whole run with its own decay: what
            tokens it needs to reach the paper's recipe
  rates     both at multiples of the law's learning rate

A finished run is kept: the same command goes on, and a wider one adds to what is there, so long as
the settings that decide what a run computes stay. Held-out text is of the same corpora, no document
of it in the training text. Writes OUTPUT.md and OUTPUT.json; the curves are in the latter. The
whole at 1m and 4m with three seeds is seven billion tokens: for a GPU. --tokens and --batch_tokens
make it small."""

import argparse
import dataclasses
import itertools
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np

from configs import ladder
from divsyn_jax.base import files
from divsyn_jax.data.readers.corpus import CorpusReader, ReadOptions
from divsyn_jax.data.shard_builder import build_shards
from divsyn_jax.data.tokenizer_trainer import train_tokenizer
from divsyn_jax.statistics.intervals import mean_interval

DATA = ROOT.parent / "shared" / "data"
CORPORA = tuple(str(DATA / f"{name}.jsonl.gz") for name in ("real_wiki", "real_books"))
PARTS = ("recipes", "elements", "shares", "rates")
# Without an element a run does as the paper's recipe does. The law's rate is halved for a schedule
# that stays at its peak, so one that falls from the start takes the whole. The recipe has no
# initialisation of its own since this benchmark: with --base=model.initialization=fan_in it had.
ELEMENTS: dict[str, dict[str, Any]] = {
    "Muon": {"optimizer.name": "adamw"},
    "QK-norm": {"model.qk_norm": False},
    "WSD": {"optimizer.schedule": "linear"},
    "z-loss": {"loss.z_loss": 0.0},
    "initialisation": {"model.initialization": "gpt2"},
    "spike skipping": {"optimizer.skip_spikes": 0.0},
}
PAPER, MODERN = "paper", "modern"


@dataclasses.dataclass(frozen=True)
class Trial:
    """One run: a recipe (`paper`, `modern` or the name of the element left out) at a size, with a
    seed, in a share of the tokens and at a multiple of the law's rate.
    """

    size: str
    seed: int
    recipe: str
    share: float = 1.0
    rate: float = 1.0

    @property
    def folder(self) -> str:
        """Its folder under runs/."""
        name = self.recipe.replace(" ", "_")
        return f"{self.size}/seed{self.seed}/{name}_share{self.share:g}_rate{self.rate:g}"


def overrides(trial: Trial, settings: argparse.Namespace) -> dict[str, Any]:
    """The keys in which a trial differs from configs/modern.py of its size."""
    whole = ladder.rung(trial.size, settings.seq_len)
    batch = whole.global_batch
    if settings.batch_tokens:
        batch = max(1, settings.batch_tokens // settings.seq_len)
    tokens = settings.tokens or settings.tokens_per_parameter * whole.parameters
    steps = max(8, round(trial.share * tokens / (batch * settings.seq_len)))
    left_out = (
        {key: value for element in ELEMENTS.values() for key, value in element.items()}
        if trial.recipe == PAPER
        else ELEMENTS.get(trial.recipe, {})
    )
    falls = "optimizer.schedule" in left_out
    keys = {
        "seed": trial.seed,
        "steps": steps,
        "global_batch": batch,
        "optimizer.warmup_steps": max(
            1, min(round(whole.parameters / (batch * settings.seq_len)), steps // 5)
        ),
        "optimizer.peak_lr": whole.peak_lr * trial.rate * (2 if falls else 1),
        **({} if trial.recipe == PAPER else settings.base),
        **left_out,
        "model.vocab_size": settings.vocab_size,
        "model.dtype": settings.dtype,
        "loss.chunk": 0 if settings.seq_len % 64 else 64,
        "eval.every_steps": max(1, steps // settings.evaluations),
        "eval.batch": 8,
        "checkpoint.every_steps": max(1, steps // 3),
        "checkpoint.keep": 1,
        "log.every_steps": max(1, steps // 100),
        "log.tracker": "none",
    }
    if trial.recipe == PAPER:
        keys["optimizer.b2"] = 0.95
    if settings.accumulation_steps > 1:
        keys["accumulation_steps"] = settings.accumulation_steps
    return keys


def trials(settings: argparse.Namespace) -> list[Trial]:
    """What is asked for, seeds outermost: an interrupted benchmark has all recipes of the first."""
    found = []
    for seed in settings.seeds:
        for size in settings.sizes:
            for part in settings.parts:
                if part == "recipes":
                    found += [Trial(size, seed, name) for name in settings.recipes]
                elif part == "elements":
                    found += [
                        Trial(size, seed, name, rate=rate)
                        for name in settings.elements
                        for rate in settings.element_rates
                    ]
                elif part == "shares":
                    found += [Trial(size, seed, MODERN, share=share) for share in settings.shares]
                else:
                    found += [
                        Trial(size, seed, name, rate=rate)
                        for name in settings.recipes
                        for rate in settings.rates
                    ]
    return list(dict.fromkeys(found))


# --------------------------------------------------------------------------------------------------
# data and runs


def prepare(settings: argparse.Namespace) -> dict[str, str]:
    """Training and held-out text, tokenizer and shards, made once; returns the data keys."""
    names = [pathlib.Path(path).name.partition(".")[0] for path in settings.corpora]
    root = settings.work / "shards"
    decisive = ("corpora", "seq_len", "vocab_size", "heldout_documents", "documents")
    made_of = {name: getattr(settings, name) for name in (*decisive, "tokenizer_bytes")}
    if (root / "made_of.json").exists():
        if files.read_json(root / "made_of.json") != made_of:
            sys.exit(f"{root}: made of other settings; give the same or use another --work")
    else:
        texts = settings.work / "texts"
        texts.mkdir(parents=True, exist_ok=True)
        for name, path in zip(names, settings.corpora, strict=True):
            _split(path, texts / f"{name}.jsonl", texts / f"heldout_{name}.jsonl", settings)
        training = [str(texts / f"{name}.jsonl") for name in names]
        tokenizer = str(settings.work / "tokenizer")
        train_tokenizer(
            training, tokenizer, settings.vocab_size, max_bytes=settings.tokenizer_bytes
        )
        for name, path in zip(names, training, strict=True):
            build_shards([path], tokenizer, str(root / name), settings.seq_len, "concat")
            held_out = str(texts / f"heldout_{name}.jsonl")
            build_shards(
                [held_out], tokenizer, str(root / f"heldout_{name}"), settings.seq_len, "document"
            )
        files.write_json(root / "made_of.json", made_of)
    return {
        "data.root": str(root),
        "data.train": ",".join(f"{name}={name}:1" for name in names),
        "data.eval": ",".join(f"{name}=heldout_{name}:1" for name in names),
    }


def _split(
    corpus: str, train: pathlib.Path, held_out: pathlib.Path, settings: argparse.Namespace
) -> None:
    """Distinct documents, by a hash of their text: the least so many are held out."""
    texts = {document.text for document in CorpusReader(corpus, ReadOptions())}
    ordered = sorted(texts, key=lambda text: (zlib.crc32(text.encode()), text))
    kept = ordered[settings.heldout_documents :]
    if settings.documents:
        kept = kept[: settings.documents]
    for path, chosen in ((held_out, ordered[: settings.heldout_documents]), (train, kept)):
        files.write_text(path, "".join(json.dumps({"text": text}) + "\n" for text in chosen))


def train(trial: Trial, data: Mapping[str, str], settings: argparse.Namespace) -> None:
    """Train what is not trained yet, by the trainer's own command, which also continues a run."""
    workdir = settings.work / "runs" / trial.folder
    if (workdir / "DONE").exists():
        return
    config = ROOT / "configs" / "modern.py"
    keys = {**overrides(trial, settings), **data}
    command = [
        *(sys.executable, "-m", "divsyn_jax.train", f"--workdir={workdir}"),
        f"--config={config}:size={trial.size},seq_len={settings.seq_len}",
        *(f"--config.{key}={value}" for key, value in keys.items()),
    ]
    print(trial.folder, file=sys.stderr, flush=True)
    workdir.mkdir(parents=True, exist_ok=True)
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    with (workdir / "log").open("a") as log:
        done = subprocess.run(
            command, stdout=log, stderr=log, cwd=ROOT, env={**os.environ, "PYTHONPATH": path}
        )
    if done.returncode:
        sys.exit(f"{trial.folder}: exit {done.returncode}; see {workdir / 'log'}")


def known_trials(work: pathlib.Path) -> list[Trial]:
    """Every trial that has a folder, of this command and of earlier ones; small sizes first."""
    names = {name.replace(" ", "_"): name for name in (PAPER, MODERN, *ELEMENTS)}
    found = []
    for folder in (work / "runs").glob("*/seed*/*_share*_rate*"):
        name, share, rate = re.fullmatch(r"(.+)_share(.+)_rate(.+)", folder.name).groups()
        size, seed = folder.parts[-3], int(folder.parts[-2].removeprefix("seed"))
        found.append(Trial(size, seed, names[name], float(share), float(rate)))
    order, recipes = list(ladder.SIZES), list(names.values())
    return sorted(
        found,
        key=lambda t: (order.index(t.size), t.seed, recipes.index(t.recipe), t.share, t.rate),
    )


def read(trial: Trial, work: pathlib.Path) -> dict[str, Any] | None:
    """A finished run's curve [tokens, bits per byte, mean over domains], its end, and its count of
    skipped steps; None for one that is not finished.
    """
    workdir = work / "runs" / trial.folder
    if not (workdir / "DONE").exists():
        return None
    recipe = files.read_json(workdir / "config.json")
    lines = files.read_jsonl(workdir / "metrics.jsonl")
    of_step = recipe["global_batch"] * recipe["seq_len"]
    curve = []
    for line in lines:
        domains = [line[key] for key in sorted(line) if key.endswith("/bits_per_byte")]
        if domains:
            curve.append([line["step"] * of_step, float(np.mean(domains))])
    return {
        **dataclasses.asdict(trial),
        "tokens": recipe["steps"] * of_step,
        "steps": recipe["steps"],
        "batch_tokens": of_step,
        "peak_lr": recipe["optimizer"]["peak_lr"],
        "bits_per_byte": curve[-1][1],
        "skipped_steps": lines[-1].get("skipped_steps", 0),
        "curve": curve,
    }


# --------------------------------------------------------------------------------------------------
# what the runs say


def share_needed(points: Iterable[tuple[float, float]], target: float) -> tuple[float, str]:
    """The least share of tokens at which bits per byte reach `target`, by straight lines over the
    logarithm of the share between (share, bits per byte).

    The second says what the first is: '' for a value between two points, '<=' where the smallest
    share is enough already, '>' where none is.
    """
    ordered = sorted(points)
    if ordered[0][1] <= target:
        return ordered[0][0], "<="
    for (share, value), (next_share, next_value) in itertools.pairwise(ordered):
        if next_value <= target:
            part = (value - target) / (value - next_value)
            return math.exp((1 - part) * math.log(share) + part * math.log(next_share)), ""
    return ordered[-1][0], ">"


def best_rate(points: Sequence[tuple[float, float]]) -> tuple[float, str]:
    """The multiple of the law's rate with the least bits per byte: the vertex of the parabola over
    the logarithm through the best point and its neighbours.

    The second is 'at the edge' where the best has no neighbour on one side, and is then the best
    point itself.
    """
    ordered = sorted(points)
    best = min(range(len(ordered)), key=lambda place: ordered[place][1])
    if best in (0, len(ordered) - 1):
        return ordered[best][0], "at the edge"
    near = ordered[best - 1 : best + 2]
    square, linear, _ = np.polyfit([math.log2(rate) for rate, _ in near], [y for _, y in near], 2)
    return float(2 ** (-linear / (2 * square))), ""


def page(found: Sequence[dict[str, Any]], settings: argparse.Namespace) -> str:
    """OUTPUT.md: a section a size."""
    sections = [HEAD.format(conditions=_conditions(found, settings))]
    for size in dict.fromkeys(run["size"] for run in found):
        of_size = [run for run in found if run["size"] == size]
        sections.append(f"## {size}: {_scale(of_size)}\n")
        sections += [_recipes(of_size), _shares(of_size), _rates(of_size)]
    return "\n".join(filter(None, sections))


HEAD = """# The modern recipe beside the paper's

Made by `tools/benchmarks/modern_recipe.py`. {conditions} Bits per byte are of held-out documents,
the mean over corpora, after the last step. Intervals are 95% t intervals over seeds; with one seed
there is none, and a difference then says nothing about another seed.
"""


def _conditions(found: Sequence[dict[str, Any]], settings: argparse.Namespace) -> str:
    corpora = ", ".join(pathlib.Path(path).name.partition(".")[0] for path in settings.corpora)
    seeds = len({run["seed"] for run in found})
    said = (
        f"Corpora {corpora}, {settings.heldout_documents} documents of each held out, windows of"
        f" {settings.seq_len} tokens, vocabulary {settings.vocab_size}, {settings.dtype},"
        f" {_seeds(seeds)}."
    )
    for key, value in settings.base.items():
        said += f" The modern recipe has {key}={value} besides."
    if settings.batch_tokens or settings.tokens:
        said += (
            " **Not at the law's own scale**: batch or tokens were set by hand, as a run of the"
            " whole takes longer than was at hand."
        )
    return said


def _seeds(number: int) -> str:
    return f"{number} seed{'s' * (number > 1)}"


def _scale(runs: Sequence[dict[str, Any]]) -> str:
    whole = next((run for run in runs if run["share"] == 1.0), runs[0])
    rung = ladder.rung(whole["size"])
    batch = ladder.batch_tokens(rung.parameters)
    return (
        f"{rung.parameters:,} parameters in layers, {whole['tokens']:,} tokens"
        f" ({whole['tokens'] / rung.parameters:.2g} a parameter; the law says 20), batches of"
        f" {whole['batch_tokens']:,} tokens (the law says {batch:,.0f})"
    )


def _recipes(runs: Sequence[dict[str, Any]]) -> str:
    rows = []
    reference = _by_seed(runs, MODERN)
    best, _ = best_rate([(rate, mean) for rate, mean, _ in _swept(runs, PAPER)] or [(1.0, 0.0)])
    tried = sorted(
        {run["rate"] for run in runs if run["recipe"] == PAPER}, key=lambda r: abs(r - best)
    )
    for name, rate in (
        (PAPER, 1.0),
        *((PAPER, r) for r in tried[:1] if r != 1),
        (MODERN, 1.0),
        *((element, r) for element in ELEMENTS for r in _rates_of(runs, element)),
    ):
        values = _by_seed(runs, name, rate)
        if not values:
            continue
        more = [values[seed] - reference[seed] for seed in values if seed in reference]
        skipped = [
            run["skipped_steps"]
            for run in _chosen(runs, lambda run, name=name: run["recipe"] == name, rate)
        ]
        label = name if name in (PAPER, MODERN) else f"modern without {name}"
        rows.append(
            [
                label if rate == 1 else f"{label}, {rate:g} of the law's rate",
                shown_interval(list(values.values())),
                "-" if name == MODERN or not more else shown_interval(more, "+.4f"),
                str(sum(skipped)),
            ]
        )
    header = ["recipe", "bits per byte", "above modern, of one seed", "steps skipped"]
    return table(header, rows)


def _rates_of(runs: Sequence[dict[str, Any]], name: str) -> list[float]:
    return sorted({run["rate"] for run in runs if run["recipe"] == name}, reverse=True)


def _shares(runs: Sequence[dict[str, Any]]) -> str:
    """Tokens that the modern recipe needs to be as good as the paper's at its best rate."""
    exact, bounds, own = [], [], []
    for seed in sorted({run["seed"] for run in runs}):
        of_seed = [run for run in runs if run["seed"] == seed]
        paper = [run["bits_per_byte"] for run in of_seed if run["recipe"] == PAPER]
        points = {
            run["share"]: run["bits_per_byte"]
            for run in of_seed
            if run["recipe"] == MODERN and run["rate"] == 1.0
        }
        if not paper or not points:
            continue
        if len(points) > 1:
            share, kind = share_needed(points.items(), min(paper))
            (bounds if kind else exact).append((share, kind))
        whole = next(
            (
                run
                for run in of_seed
                if run["recipe"] == MODERN and run["share"] == run["rate"] == 1
            ),
            None,
        )
        if whole:
            along = [(tokens / whole["tokens"], value) for tokens, value in whole["curve"]]
            own.append("{1}{0:.2f}".format(*share_needed(along, min(paper))))
    said = []
    if exact:
        found = mean_interval([math.log(share) for share, _ in exact])
        limits = [found["ci_low"], found["ci_high"]]
        spread = (
            ""
            if limits[0] is None
            else " [{:.2f}, {:.2f}]".format(*(math.exp(limit) for limit in limits))
        )
        said.append(f"{math.exp(found['value']):.2f}{spread} of the tokens ({_seeds(len(exact))})")
    said += [f"{kind}{share:.2f} of the tokens (one seed)" for share, kind in bounds]
    if not said and not own:
        return ""
    of_runs = f"{'; '.join(said)}, each share a whole run with its own decay. Along" if said else ""
    return (
        "Share of the tokens in which modern reaches the paper's recipe, at the best of the rates"
        f" tried for that one: {of_runs or 'along'} the one run of all tokens, whose rate falls"
        f" at its end alone, {', '.join(own) or 'not evaluated'}, seed by seed.\n"
    )


def _rates(runs: Sequence[dict[str, Any]]) -> str:
    rates = sorted({run["rate"] for run in runs})
    if len(rates) < 2:
        return ""
    parameters = ladder.rung(runs[0]["size"]).parameters
    batch = runs[0]["batch_tokens"]
    of_batch = ladder.learning_rate(parameters, batch) / ladder.learning_rate(parameters)
    rows = []
    for name in (PAPER, MODERN):
        swept = _swept(runs, name)
        if len(swept) < 2:
            continue
        optimum, note = best_rate([(rate, mean) for rate, mean, _ in swept])
        shown = {rate: shown_interval(values) for rate, _, values in swept}
        rows.append(
            [
                name,
                *(shown.get(rate, "-") for rate in rates),
                f"{optimum:.3g} {note}".strip(),
                f"{optimum / of_batch:.3g}",
            ]
        )
    if not rows:
        return ""
    header = ["bits per byte at the law's rate times", *(f"{rate:g}" for rate in rates), "optimum"]
    header.append(
        f"optimum, of the rate for {batch:,} tokens a batch ({of_batch:.3g} of the law's)"
    )
    return table(header, rows)


def _swept(runs: Sequence[dict[str, Any]], name: str) -> list[tuple[float, float, list[float]]]:
    """(rate, mean, values) of a recipe, of the seeds that were run at every one of its rates."""
    of_rate = {
        rate: _by_seed(runs, name, rate)
        for rate in sorted({run["rate"] for run in runs if run["recipe"] == name})
    }
    if not of_rate:
        return []
    seeds = set.intersection(*(set(values) for values in of_rate.values()))
    return [
        (rate, float(np.mean(kept)), kept)
        for rate, values in of_rate.items()
        if (kept := [value for seed, value in values.items() if seed in seeds])
    ]


def _by_seed(runs: Sequence[dict[str, Any]], name: str, rate: float = 1.0) -> dict[int, float]:
    return {
        run["seed"]: run["bits_per_byte"]
        for run in _chosen(runs, lambda run: run["recipe"] == name, rate)
    }


def _chosen(
    runs: Sequence[dict[str, Any]], wanted: Callable[[dict[str, Any]], bool], rate: float = 1.0
) -> list[dict[str, Any]]:
    return [run for run in runs if run["share"] == 1.0 and run["rate"] == rate and wanted(run)]


def shown_interval(values: Sequence[float], form: str = ".4f") -> str:
    """The mean of `values`, with its 95% t interval where there are several."""
    found = mean_interval(values)
    if found["ci_low"] is None:
        return f"{found['value']:{form}}"
    return f"{found['value']:{form}} [{found['ci_low']:{form}}, {found['ci_high']:{form}}]"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


# --------------------------------------------------------------------------------------------------


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    return settings_of(command_line(__doc__), arguments)


def command_line(description: str | None) -> argparse.ArgumentParser:
    """What says which runs and where, of this benchmark and of others that make such runs."""

    def listed(kind: Callable[[str], Any]) -> Callable[[str], list[Any]]:
        return lambda value: [kind(part) for part in value.split(",")]

    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--work", type=pathlib.Path, required=True, help="folder for data and runs")
    add("--output", default=str(ROOT / "tools" / "benchmarks" / "modern_recipe"))
    add("--corpora", type=listed(str), default=list(CORPORA))
    add("--sizes", type=listed(str), default=["1m", "4m"])
    add("--seeds", type=listed(int), default=[0, 1, 2])
    add("--parts", type=listed(str), default=list(PARTS))
    add("--recipes", type=listed(str), default=[PAPER, MODERN])
    add("--elements", type=listed(str), default=[n for n in ELEMENTS if n != "initialisation"])
    add(
        "--base",
        type=lambda value: dict(pair.split("=", 1) for pair in value.split(",")),
        default={},
        help="KEY=VALUE,... that the modern recipe has besides, before an element is left out",
    )
    add("--shares", type=listed(float), default=[0.4, 0.55, 0.7, 0.85])
    add(
        "--element_rates",
        type=listed(float),
        default=[1.0],
        help="multiples of the law's rate without an element, which may want another",
    )
    add("--rates", type=listed(float), default=[0.25, 0.5, 0.71, 1.0, 1.41, 2.0, 4.0])
    add("--tokens_per_parameter", type=float, default=ladder.TOKENS_PER_PARAMETER)
    add("--tokens", type=int, default=0, help="in place of tokens_per_parameter")
    add("--batch_tokens", type=int, default=0, help="in place of the law's")
    add("--accumulation_steps", type=int, default=1)
    add("--seq_len", type=int, default=512)
    add("--vocab_size", type=int, default=4096)
    add("--dtype", default="float32")
    add("--evaluations", type=int, default=16)
    add("--heldout_documents", type=int, default=400)
    add("--documents", type=int, default=0, help="training documents of a corpus; 0: all")
    add("--tokenizer_bytes", type=int, default=20_000_000)
    add("--no_training", action="store_true", help="the page of the runs that are finished")
    return parser


def settings_of(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None
) -> argparse.Namespace:
    """The settings, with every name in a list one that is known."""
    settings = parser.parse_args(arguments)
    lists = {"parts": PARTS, "recipes": (PAPER, MODERN), "elements": ELEMENTS}
    for name, known in {**lists, "sizes": ladder.SIZES}.items():
        if unknown := [value for value in getattr(settings, name) if value not in known]:
            parser.error(f"--{name}={unknown[0]}: use some of {', '.join(known)}")
    return settings


def main() -> None:
    """Train what is missing, then write the page of all that is there."""
    settings = parse()
    if missing := [path for path in settings.corpora if not os.path.exists(path)]:
        sys.exit(f"{missing[0]}: no such corpus; give --corpora=A,B")
    settings.work = settings.work.absolute()
    if not settings.no_training:
        data = prepare(settings)
        for trial in trials(settings):
            train(trial, data, settings)
    found = [run for trial in known_trials(settings.work) if (run := read(trial, settings.work))]
    if not found:
        sys.exit(f"{settings.work}: no run is finished")
    files.write_json(f"{settings.output}.json", {"runs": found})
    files.write_text(f"{settings.output}.md", page(found, settings))
    print(f"wrote {settings.output}.md and {settings.output}.json")


if __name__ == "__main__":
    main()
