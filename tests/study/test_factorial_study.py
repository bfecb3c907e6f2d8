"""A factorial study: its cells, its held-out text, and what it finds, without training."""

import json

import numpy as np
import pytest

from configs.studies import factorial as factorial_config
from configs.studies import tiny
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.readers.corpus import CorpusReader, ReadOptions
from divsyn_jax.study import checks, recipe, texts
from divsyn_jax.study.factorial import cells
from divsyn_jax.study.factorial.effects import factorial_results
from divsyn_jax.study.hypotheses.evidence import Evidence
from divsyn_jax.study.hypotheses.factor_hypotheses import factor_hypotheses
from divsyn_jax.study.hypotheses.verdict import Kind
from divsyn_jax.study.reporting import factor_effects
from divsyn_jax.study.study_file import Outcome
from divsyn_jax.synthesis.grammar.grammar import document, generate_passages
from tests.conftest import write_jsonl


def config(**changes):
    found = factorial_config.get_config().to_dict()
    found.update(changes)
    return found


@pytest.fixture(scope="module")
def resolved():
    return recipe.resolve(config(), (), (), "")


def test_the_default_factorial_study_crosses_four_kinds_of_diversity(resolved):
    levels = resolved["levels"]
    assert len(levels) == 17
    settings = [(*(level[key] for key in resolved["factors"]),) for level in levels[:16]]
    assert len(set(settings)) == 16
    orders = [level.get("file_order", "as_written") for level in levels[:16]]
    assert orders.count("by_hash") == 8
    one, two = resolved["null_control"]
    twin = next(level for level in levels if level["name"] == two)
    origin = next(level for level in levels if level["name"] == one)
    differing = {key for key in twin if twin[key] != origin[key]}
    assert differing == {"name", "seed"}
    assert len({level["name"] for level in levels}) == 17


def test_a_fraction_halves_the_corpora_and_keeps_the_sham():
    made = cells.with_cells(config(resolution="IV"))
    assert len(made["levels"]) == 17  # five factors, the sham among them, still take 16
    three = {key: value for key, value in config()["factors"].items() if key != "styles"}
    common = [{"name": "common", "styles": 1, "seed": 0}]
    assert len(cells.with_cells(config(factors=three, levels=common))["levels"]) == 9


def test_cells_that_differ_in_the_sham_alone_have_names_of_their_own():
    two = {key: config()["factors"][key] for key in ("topics", "wordings")}
    common = [{"name": "common", "styles": 1, "personas": 1, "seed": 0}]
    made = cells.with_cells(config(factors=two, levels=common))
    names = [level["name"] for level in made["levels"]]
    assert len(set(names)) == len(names) == 9
    assert {"t4_w1_as_written", "t4_w1_by_hash"} <= set(names)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"factors": {"topics": (4,)}}, "config.factors.topics=.*low and its high"),
        ({"factors": {"topics": (4, 4)}}, "config.factors.topics=.*equal"),
        ({"resolution": "III"}, "config.resolution: resolution 'III'"),
        ({"null_control": ("a", "b")}, "config.null_control"),
        ({"levels": [{"name": "a", "seed": 0, "topics": 3}]}, "config.levels\\[0\\].topics"),
        ({"levels": []}, "config.levels holds 0"),
        ({"factors": {**config()["factors"], "topics": (4, 33)}}, "topics must be a whole number"),
        ({"factors": {"colours": (4, 33), "styles": (1, 2)}}, "colours: unknown key"),
    ],
)
def test_factors_that_make_no_study_are_refused_in_one_line(changes, said):
    with pytest.raises(UserError, match=said) as refused:
        checks.check_recipe(cells.with_cells(config(**changes)))
    assert "\n" not in str(refused.value)


def test_corpora_on_the_command_line_have_no_place(tmp_path):
    with pytest.raises(UserError, match="knows the place"):
        recipe.resolve(config(), (str(tmp_path / "a.jsonl"),), (), "")


def test_own_corpora_say_their_place(tmp_path):
    levels = []
    for a in ("low", "high"):
        for b in (1, 2):
            for copy in range(3):
                name = f"{a}{b}.{copy}"
                path = write_jsonl(tmp_path / f"{name}.jsonl", [f"{name} {i}" for i in range(9)])
                levels.append({"name": name, "corpus": str(path), "at": {"a": a, "b": b}})
    # Two factors and the sham: eight corpora, and four twins.
    made = cells.with_cells(config(factors={"a": ("low", "high"), "b": (1, 2)}, levels=levels))
    assert [level["name"] for level in made["levels"][:2]] == ["low1.0", "high1.0"]
    assert len(made["levels"]) == 12
    assert made["null_control"] == ["low1.0", "low1.2"]
    design = cells.design_of(made)
    assert len(cells.twin_places(made, design)) == 4
    for level, row in zip(made["levels"], design.rows, strict=False):
        assert (level.get("file_order") == "by_hash") == (row[-1] > 0)
    with pytest.raises(UserError, match=r"cells of the design have no corpus, the first at="):
        cells.with_cells(config(factors={"a": ("low", "high"), "b": (1, 2)}, levels=levels[:3]))
    with pytest.raises(UserError, match="no cell of the design"):
        cells.with_cells(config(factors={"a": ("low", "mid"), "b": (1, 2)}, levels=levels))


def test_file_order_changes_the_order_and_nothing_else(tmp_path):
    rows = [{"text": f"text {n}", "topic": str(n)} for n in range(20)]
    source = tmp_path / "a.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    texts.write_in_order_of_hash(str(source), tmp_path / "b" / "a.jsonl", ReadOptions())
    read = [
        {"text": each.text, "topic": each.fields["topic"]}
        for each in CorpusReader(str(tmp_path / "b" / "a.jsonl"), ReadOptions())
    ]
    assert read != rows
    assert sorted(read, key=str) == sorted(rows, key=str)


@pytest.mark.parametrize("axis", ["topics", "styles", "personas", "wordings"])
def test_unseen_text_is_new_on_its_axis_alone(resolved, axis):
    label = axis[:-1]
    used = [
        [document(texts.breadth_of(level), 0, n) for n in range(30)]
        for level in (resolved["levels"][0], resolved["levels"][15])
    ]
    narrow, broad = ({name: {each[name] for each in docs} for name in LABELS} for docs in used)
    unseen = texts.unseen(resolved["levels"], axis)
    found = [document(unseen, 7, n) for n in range(30)]
    seen_values = broad[label] | narrow[label]
    assert not {each[label] for each in found} & seen_values
    for other in LABELS:
        if other != label:
            assert {each[other] for each in found} <= narrow[other]
    lengths = [len(each["text"].split()) for each in found]
    plain = [len(each["text"].split()) for each in used[0]]
    assert abs(np.mean(lengths) - np.mean(plain)) < 4


LABELS = ("topic", "style", "persona", "wording")


def test_seen_text_is_of_what_every_level_has(resolved):
    seen = texts.unseen(resolved["levels"], None)
    narrow = texts.breadth_of(resolved["levels"][0])
    assert seen == narrow


def test_an_axis_that_is_used_up_has_nothing_unseen():
    used_up = config(factors={**config()["factors"], "styles": (1, 9)})
    with pytest.raises(UserError, match="unseen_styles: the levels use all 9 styles"):
        recipe.resolve(used_up, (), (), "")
    other = tiny.get_config().to_dict() | {"heldout": ("unseen_topics",)}
    with pytest.raises(UserError, match="unseen_topics: the levels use all 32 topics"):
        recipe.resolve(other, (), (), "")


def finished(resolved, sham_effect=0.0, seed=0):
    """Runs and scores of the study as if it had been run: topics help, wordings hurt a little."""
    generator = np.random.default_rng(seed)
    outcomes = [Outcome(f"{d}/bits_per_byte", "", "pretrain", f"{d}/bits_per_byte", False)
                for d in resolved["heldout"]]  # fmt: skip
    runs, clusters, words = [], {}, {}
    for level in resolved["levels"]:
        topics, wordings = level["topics"] > 4, level["wordings"] > 1
        sham = level.get("file_order") == "by_hash"
        clusters[level["name"]] = {"value": 8.0 if topics else 2.0}
        words[level["name"]] = {"value": 0.3 + 0.2 * wordings + 0.1 * topics}
        for seed_of_run in resolved["seeds"]:
            value = 2.0 - 0.3 * topics + 0.05 * wordings + sham_effect * sham
            metrics = {
                f"eval/{outcome.test}": value + 0.01 * generator.standard_normal()
                for outcome in outcomes
            }
            runs.append({"level": level["name"], "size": "", "stage": "pretrain",
                         "seed": seed_of_run, "metrics": metrics})  # fmt: skip
    none = {name: {"value": None, "reason": "not run"} for name in clusters}
    same = {name: {"value": 3.0} for name in clusters}
    metrics = {"effective_clusters": clusters, "baselines.ngram_diversity": words}
    metrics |= {"baselines.perplexity": none, "baselines.context_length": same}
    return runs, outcomes, {"metrics": metrics}


@pytest.fixture(scope="module")
def found(resolved):
    runs, outcomes, comparison = finished(resolved)
    return factorial_results(resolved, runs, outcomes, comparison), outcomes


def verdicts(resolved, results, outcomes):
    evidence = Evidence(resolved, [], outcomes, {}, [], "effective_clusters", results)
    return {h.id: h.judge(evidence).verdict.kind for h in factor_hypotheses(resolved)}


def test_effects_are_found_and_the_sham_is_not(resolved, found):
    results, outcomes = found
    assert verdicts(resolved, results, outcomes) == {
        "factor:topics": Kind.SUPPORTED,
        "factor:styles": Kind.CANNOT_TELL,
        "factor:personas": Kind.CANNOT_TELL,
        "factor:wordings": Kind.OPPOSITE,
        "factor:file_order": Kind.SUPPORTED,
    }
    runs, outcomes, comparison = finished(resolved, sham_effect=0.1)
    spoilt = factorial_results(resolved, runs, outcomes, comparison)
    assert verdicts(resolved, spoilt, outcomes)["factor:file_order"] is Kind.NOT_SUPPORTED


def test_a_factor_is_judged_by_the_text_that_is_new_on_its_axis(resolved):
    runs, outcomes, comparison = finished(resolved)
    for run in runs:
        if "t24" in run["level"]:
            run["metrics"]["eval/unseen_topics/bits_per_byte"] += 0.6
    results = factorial_results(resolved, runs, outcomes, comparison)
    assert verdicts(resolved, results, outcomes)["factor:topics"] is Kind.OPPOSITE
    said = {each.id: each.statement for each in factor_hypotheses(resolved)}["factor:topics"]
    assert said.endswith("all else equal (on text of unseen topics)")
    assert "unseen" not in factor_hypotheses({**resolved, "heldout": {"seen": {}}})[0].statement


def test_metrics_are_set_against_factors_and_outcomes(found):
    results, _ = found
    responses = {each["metric"]: each for each in results["responses"]}
    assert set(responses) == {
        "effective_clusters",
        "baselines.ngram_diversity",
        "baselines.context_length",
    }
    assert responses["effective_clusters"]["shares"]["topics"] == pytest.approx(1)
    assert responses["effective_clusters"]["effects"]["topics"] == pytest.approx(2)  # doublings
    assert responses["baselines.context_length"]["shares"] is None
    shares = responses["baselines.ngram_diversity"]["shares"]
    assert shares["wordings"] > shares["topics"] > 0.1
    r = {(each["metric"], each["outcome"]): each["r"] for each in results["predictions"]}
    assert r["effective_clusters", "seen/bits_per_byte"] < -0.95
    assert abs(r["baselines.ngram_diversity", "seen/bits_per_byte"]) < 0.6


def test_the_page_shows_the_matrices(resolved, found):
    results, outcomes = found
    study = {
        "recipe": resolved,
        "factorial": results,
        "primary_outcome": outcomes[0].name,
        "outcomes": [
            {"name": each.name, "test": each.test, "higher_is_better": False} for each in outcomes
        ],
    }
    page = "".join(map(str, factor_effects.factorial_parts(study)))
    for said in ("held-out text, new wordings", "topics 4 to 24", "(sham)", "100% ↑"):
        assert said in page
    assert "The same for every corpus: baselines.context_length" in page
    assert factor_effects.factorial_parts({"recipe": resolved}) == []
    pytest.importorskip("matplotlib")
    figure = factor_effects.effects_figure(study)
    assert sum(axis.get_visible() for axis in figure.axes) == 5


def test_passages_of_unseen_text_do_not_end(resolved):
    breadth = texts.unseen(resolved["levels"], "styles")
    passages = generate_passages(breadth, 3)
    assert len({next(passages)["text"] for _ in range(60)}) == 60


@pytest.mark.runs
def test_a_factorial_study_runs_from_recipe_to_page(tmp_path, command):
    pytest.importorskip("matplotlib")
    workdir = tmp_path / "study"
    line = ("divsyn_jax.study", "--config=tests/study/small_factorial_study.py")
    done = command(*line, f"--workdir={workdir}", timeout=2400)
    assert done.returncode == 0, done.stderr + done.stdout
    content = json.loads((workdir / "study.json").read_text())
    assert len(content["levels"]) == 9
    found = content["factorial"]
    assert [each["outcome"] for each in found["outcomes"]] == [
        f"{name}/bits_per_byte" for name in ("seen", "unseen_topics", "unseen_wordings")
    ]
    for outcome in found["outcomes"]:
        assert [effect["name"] for effect in outcome["effects"]] == [
            *("topics", "wordings", "file_order", "topics x wordings")
        ]
        # 8 corpora and a twin by 2 seeds: 8 of seeds, 8 - 1 - 4 + 1 = 4 of corpora.
        assert outcome["degrees_of_freedom"] in (4, 12)
    seen = {each["metric"]: each["shares"] for each in found["responses"]}
    assert seen["effective_clusters"]["topics"] > 0.9  # scored by the true topics
    ids = [verdict["id"] for verdict in content["verdicts"]]
    assert ids == ["factor:topics", "factor:wordings", "factor:file_order", "null_control"]
    page = (workdir / "report.html").read_text()
    for part in ("Which diversity buys", "What each metric sees", "Signal and noise"):
        assert part in page
