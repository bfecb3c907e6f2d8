"""Fine-tuning sets as levels: one pre-training for all, and what is refused."""

import json

import pytest

from configs.studies import sft_diversity
from divsyn_jax.base.commandline import UserError
from divsyn_jax.study import checks, plan
from divsyn_jax.study.finetuning.sets import write_instructions
from divsyn_jax.study.identity import study_fingerprint
from divsyn_jax.study.recipe import Run, Study, resolve
from tests.conftest import fails_with_one_line

NAMES = [f"asked_{topics}" for topics in sft_diversity.TOPICS_ASKED]


def recipe():
    return sft_diversity.get_config().to_dict()


def resolved(**changes):
    return resolve({**recipe(), **changes}, [], [], "")


def test_twelve_sets_of_one_size_are_compared():
    found = resolved()
    assert [level["name"] for level in found["levels"]] == NAMES
    assert len(set(sft_diversity.TOPICS_ASKED)) == 12
    assert len(found["seeds"]) == 3


def test_all_sets_of_a_seed_start_from_one_model(tmp_path):
    study = Study(resolved(), tmp_path)
    chains = {name: plan.steps(study, Run("", name, 1)) for name in NAMES[:2]}
    first, second = chains.values()
    assert [step.stage for step in first] == ["pretrain", "evaluate", "sft", "sft evaluate"]
    assert first[:2] == second[:2]
    shared = tmp_path / "runs" / "pretrain" / "seed1"
    assert first[0].result == shared / "DONE"
    assert f"synthetic={tmp_path}/shards/pretrain:3" in " ".join(first[0].command)
    for name, chain in chains.items():
        assert chain[2].result == tmp_path / "runs" / name / "seed1" / "sft" / "DONE"
        assert f"--config.data.train=synthetic={tmp_path}/shards/{name}:1" in chain[2].command
        assert f"--config.init_from={shared}" in chain[2].command
    assert study.compared_stages == ["sft"]
    assert study.pretraining_corpora == {
        "pretrain": str(tmp_path / "corpora" / "pretrain" / "documents.jsonl.zst")
    }


def test_other_studies_share_nothing(tmp_path):
    from configs.studies import tiny

    study = Study(resolve(tiny.get_config().to_dict(), [], [], ""), tmp_path)
    assert study.compared_stages == ["pretrain", "sft"]
    assert study.run_dir(study.runs[0]) == tmp_path / "runs" / "breadth_1" / "seed0"
    assert list(study.pretraining_corpora) == study.level_names


def test_instructions_of_a_set_ask_about_its_topics_alone(tmp_path):
    import zstandard

    found = resolved()
    level = found["levels"][1]
    write_instructions(tmp_path, found, level)
    path = Study(found, tmp_path).corpus(level)
    with zstandard.open(path, "rt", encoding="utf-8") as stream:
        records = [json.loads(line) for line in stream]
    assert len(records) == sft_diversity.INSTRUCTIONS
    assert len({record["topic"] for record in records}) == level["topics"] == 4


CONVERSATIONS = [{"prompt": f"Question {n}?", "response": f"Answer {n}."} for n in range(5)]


def test_a_set_of_ones_own_is_known_by_its_text(tmp_path):
    first, moved, other = (tmp_path / f"{name}.jsonl" for name in ("first", "moved", "other"))
    first.write_text("".join(json.dumps(each) + "\n" for each in CONVERSATIONS))
    moved.write_text(first.read_text())
    other.write_text(first.read_text().replace("Answer 3", "No answer"))
    identities = [
        study_fingerprint(resolve(recipe(), [f"mine={path}"], [], ""))
        for path in (first, moved, other)
    ]
    assert identities[0] == identities[1] != identities[2]
    found = resolve(recipe(), [f"mine={first}"], [], "")
    assert found["levels"][-1]["sft_corpus"] == str(first)


def test_a_set_that_holds_no_conversations_is_refused(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text('{"text": "not a conversation"}\n')
    with pytest.raises(UserError, match=r"texts.jsonl"):
        resolve(recipe(), [f"mine={path}"], [], "")


def _without(key):
    return lambda found: found.pop(key)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_without("pretrain"), "sft_corpus is for all levels or none"),
        (lambda r: r["levels"][2].pop("sft_corpus"), r"levels\[2\].styles: missing"),
        (lambda r: r["sft"].update(data="grammar"), "every level has its own sft_corpus"),
        (lambda r: r.update(stages=("pretrain", "evaluate")), "sft_corpus needs sft in it"),
        (lambda r: r.update(equal_text=True), "config.equal_text: is for levels to pre-train on"),
        (lambda r: r["levels"][3].update(topics=99), r"levels\[3\].topics must be a whole number"),
        (lambda r: r["levels"][3].pop("seed"), r"levels\[3\].seed: missing"),
        (lambda r: r["levels"][3].update(instructions=0), r"levels\[3\].instructions=0"),
        (lambda r: r["levels"][3].update(unique_tokens=9), r"levels\[3\].unique_tokens: a level"),
        (lambda r: r["levels"][3].update(sft_corpus="a.jsonl"), "topics go with sft_corpus=gram"),
        (lambda r: r["pretrain"].update(sft_corpus="grammar"), "give a corpus to pre-train on"),
        (lambda r: r["pretrain"].pop("seed"), "config.pretrain.seed: missing"),
        (lambda r: r["pretrain"].update(colour=1), "config.pretrain.colour: unknown key"),
    ],
)
def test_what_does_not_go_together_is_refused(change, says):
    found = recipe()
    change(found)
    with pytest.raises(UserError, match=says):
        checks.check_recipe(found)


def test_a_level_may_not_be_called_as_the_shared_folder():
    levels = [{**recipe()["levels"][0], "name": "pretrain"}, *recipe()["levels"][1:]]
    with pytest.raises(UserError, match="cannot be called 'pretrain'"):
        resolved(levels=levels)


def test_a_cluster_is_refused_in_one_line(command, tmp_path):
    done = command(
        "launch.sweep",
        *("submit", "--study=tests/study/small_sft_study.py", "--backend=slurm"),
        *(f"--workdir={tmp_path / 'study'}", "--dry_run"),
    )
    fails_with_one_line(done, "share one pre-training", "--backend=local")


@pytest.mark.runs
def test_a_study_of_sets_end_to_end(command, tmp_path):
    pytest.importorskip("matplotlib")
    workdir = tmp_path / "study"
    done = command(
        "divsyn_jax.study",
        *("--config=tests/study/small_sft_study.py", f"--workdir={workdir}"),
        timeout=1500,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    content = json.loads((workdir / "study.json").read_text())
    assert sorted(path.name for path in (workdir / "runs").iterdir()) == [
        *("asked_20", "asked_3", "asked_8", "pretrain"),
    ]
    assert [run["stage"] for run in content["runs"]] == ["sft"] * 6
    assert content["primary_outcome"] == "sft/tasks/mean"
    assert {outcome["stage"] for outcome in content["outcomes"]} == {"sft"}
    clusters = [level["metrics"]["effective_clusters"]["value"] for level in content["levels"]]
    # Scored by its true topics; 60 instructions ask about 20 unevenly.
    assert clusters[:2] == pytest.approx([3, 8], rel=0.1)
    assert 12 < clusters[2] <= 20
    level = json.loads((workdir / "runs" / "asked_8" / "seed0" / "sft" / "level.json").read_text())
    assert level["level"]["name"] == "asked_8"
    assert level["sources"]["synthetic"]["score"]["corpus"]["name"] == "asked_8"
    losses = {
        (run["level"], run["metrics"]["train_loss"]) for run in content["runs"] if run["seed"] == 0
    }
    assert len({loss for _, loss in losses}) == 3
    assert any(row["performance"] == "sft/tasks/mean" for row in content["correlations"])
    assert "asked_20" in (workdir / "report.html").read_text()
