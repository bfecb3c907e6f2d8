"""The harness through our language model:

against its own `hf` backend on the exported run, resumable, and summarised.
"""

import gzip
import itertools
import json
import math

import jax
import numpy as np
import pytest

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.shard_builder import build_shards
from divsyn_jax.huggingface.exchange import export_run
from divsyn_jax.model import sharding
from divsyn_jax.statistics import paired_bootstrap
from divsyn_jax.training import trained_run
from tests.conftest import fails_with_one_line, small_texts, write_jsonl
from tests.trained_runs import make_run

pytest.importorskip("lm_eval")
from divsyn_jax.evaluation import harness, language_model
from divsyn_jax.evaluation.evaluation import evaluate_run

REAL_TASKS = ("hellaswag", "arc_easy", "arc_challenge", "piqa", "winogrande", "blimp")


@pytest.fixture(scope="module")
def items(tmp_path_factory):
    """Small local items of three tasks."""
    folder = tmp_path_factory.mktemp("items")
    texts = small_texts(80, seed=5, words=12)
    arc = [
        {"text": f"{q}?", "choices": texts[i : i + 3], "label": i % 3}
        for i, q in enumerate(texts[:20])
    ]
    piqa = [
        {"text": q, "choices": [q[:15], texts[i]], "label": i % 2}
        for i, q in enumerate(texts[20:40])
    ]
    blimp = [
        {"sentence_good": g, "sentence_bad": b}
        for g, b in zip(texts[:20], texts[20:40], strict=True)
    ]
    for name, rows in (("arc_challenge", arc), ("piqa", piqa), ("blimp", blimp)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


@pytest.fixture(scope="module")
def run_and_export(tmp_path_factory, tokenizer_dir):
    root = tmp_path_factory.mktemp("run")
    workdir = make_run(root / "run", tokenizer_dir, seq_len=96, vocab_size=400)
    export_run(workdir, root / "hf", 1 << 30)
    return workdir, root / "hf"


def their_language_model(folder, **options):
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    huggingface = pytest.importorskip("lm_eval.models.huggingface")
    return huggingface.HFLM(
        pretrained=str(folder),
        tokenizer=str(folder),
        device="cpu",
        dtype="float32",
        batch_size=8,
        **options,
    )


def open_language_model(workdir, batch_tokens=1024, chat=False):
    run = trained_run.open_run(workdir)
    mesh = sharding.make_mesh(run.recipe.mesh, jax.devices()[:1])
    params, progress = run.load_params(mesh)
    identity = trained_run.checkpoint_identity(progress)
    return mesh, language_model.opened(run, params, mesh, batch_tokens, identity, chat)


def answers_of(lm, tasks, limit=None):
    """{task: (log-likelihoods [items, choices], choices normalised by length or not)}."""
    found = {}
    for name, (_, records) in harness.run_tasks(lm, tasks, chat=False, limit=limit).items():
        found[name] = (
            [[value for value, _ in record["answers"]] for record in records],
            [r["value"] for r in records],
        )
    return found


def pairs(answers):
    """(log-likelihoods, value) of every item."""
    return zip(*answers, strict=True)


def assert_same_answers(ours, theirs):
    assert ours.keys() == theirs.keys()
    for name in ours:
        for (mine, my_value), (his, his_value) in zip(
            pairs(ours[name]), pairs(theirs[name]), strict=True
        ):
            np.testing.assert_allclose(mine, his, rtol=1e-5, err_msg=name)
            best = sorted(his)[-2:]
            if best[1] - best[0] > 1e-4:
                assert np.argmax(mine) == np.argmax(his)
                if name not in (
                    "arc_challenge",
                    "hellaswag",
                ):  # values that rest on log-likelihoods as they are
                    assert my_value == his_value


@pytest.mark.long
def test_answers_are_those_of_the_hf_backend(run_and_export, items):
    workdir, exported = run_and_export
    tasks = harness.open_tasks(["arc_challenge", "piqa", "blimp"], items)
    mesh, opened = open_language_model(workdir)
    with jax.set_mesh(mesh), opened as lm:
        ours = answers_of(lm, tasks)
    assert_same_answers(ours, answers_of(their_language_model(exported), tasks))


class Asked:
    """A language model that notes the contexts it is asked about."""

    rank, world_size = 0, 1
    tokenizer_name, chat_template, apply_chat_template = "", None, None

    def __init__(self):
        self.contexts = []

    def loglikelihood(self, requests):
        self.contexts += [request.args[0] for request in requests]
        return [(-1.0, False) for _ in requests]


def test_few_shot_examples_stand_before_each_question(items, tmp_path):
    examples = [{"text": f"shot {n}?", "choices": ["no", f"yes {n}"], "label": 1} for n in range(4)]
    for name in ("arc_challenge.jsonl",):
        (tmp_path / name).write_bytes((items / name).read_bytes())
    with pytest.raises(UserError, match=r"--num_fewshot=2: .* has no arc_challenge_fewshot.jsonl"):
        harness.open_tasks(["arc_challenge"], tmp_path, num_fewshot=2)
    write_jsonl_items(tmp_path / "arc_challenge_fewshot.jsonl", examples[:1])
    with pytest.raises(UserError, match="holds 1 examples"):
        harness.open_tasks(["arc_challenge"], tmp_path, num_fewshot=2)
    write_jsonl_items(tmp_path / "arc_challenge_fewshot.jsonl", examples)
    lm = Asked()
    tasks = harness.open_tasks(["arc_challenge"], tmp_path, num_fewshot=2)
    found = harness.run_tasks(lm, tasks, chat=False, limit=5, num_fewshot=2)
    assert found["arc_challenge"][0]["num_fewshot"] == 2
    assert len(lm.contexts) == 15
    for context in lm.contexts:
        assert context.count("shot ") == 2
        assert context.count("Answer: yes ") == 2
        assert context.endswith("Answer:")
    plain = Asked()
    tasks = harness.open_tasks(["arc_challenge"], tmp_path)
    found = harness.run_tasks(plain, tasks, chat=False, limit=5)
    assert found["arc_challenge"][0]["num_fewshot"] == 0
    assert not any("shot " in context for context in plain.contexts)


def write_jsonl_items(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_rolling_and_generated_text_are_those_of_the_hf_backend(run_and_export):
    from lm_eval.api.instance import Instance

    workdir, exported = run_and_export
    texts = ["", *small_texts(3, words=60), "short"]  # the long ones take several windows
    settings = [{"until": ["river", "\n\n"], "max_gen_toks": 24}, {"until": [], "max_gen_toks": 40}]
    rolling = [Instance("loglikelihood_rolling", {}, (text,), 0) for text in texts[1:]]
    written = [
        Instance("generate_until", {}, (text[:80], setting), 0)
        for text in texts[1:]
        for setting in settings
    ]
    mesh, opened = open_language_model(workdir)
    with jax.set_mesh(mesh), opened as lm:
        our_sums, our_texts = lm.loglikelihood_rolling(rolling), lm.generate_until(written)
    # Told nothing, theirs opens a text to be rolled over with BOS twice, and predicts the second.
    rolls = their_language_model(exported, add_bos_token=False)
    np.testing.assert_allclose(our_sums, rolls.loglikelihood_rolling(rolling), rtol=1e-5)
    assert our_texts == their_language_model(exported).generate_until(written)


@pytest.mark.slow
def test_answers_on_real_items_are_those_of_the_hf_backend(tmp_path, shared_data):
    from divsyn_jax.data.tokenizer_trainer import train_tokenizer

    corpora = [str(shared_data / "real_wiki.jsonl.gz")]
    train_tokenizer(corpora, str(tmp_path / "tokenizer"), 2048, max_bytes=2_000_000)
    workdir = make_run(tmp_path / "run", tmp_path / "tokenizer", seq_len=256)
    export_run(workdir, tmp_path / "hf", 1 << 30)
    (tmp_path / "items").mkdir()
    for name in REAL_TASKS:
        (source,) = shared_data.glob(f"bench_{name}*.jsonl.gz")
        with gzip.open(source, "rt") as lines:
            (tmp_path / "items" / f"{name}.jsonl").write_text("".join(itertools.islice(lines, 60)))
    tasks = harness.open_tasks(REAL_TASKS, tmp_path / "items")
    mesh, opened = open_language_model(workdir)
    with jax.set_mesh(mesh), opened as lm:
        ours = answers_of(lm, tasks)
    assert {name: len(values) for name, (_, values) in ours.items()} == dict.fromkeys(
        REAL_TASKS, 60
    )
    assert_same_answers(ours, answers_of(their_language_model(tmp_path / "hf"), tasks))


def test_eval_json_and_items_and_a_second_evaluation(run_and_export, items):
    workdir, _ = run_and_export
    tasks = harness.open_tasks(["arc_challenge", "piqa"], items)
    result = evaluate_run(workdir, tasks=tasks)
    written = json.loads((workdir / "eval.json").read_text())
    assert written == result
    assert set(written["tasks"]) == {"arc_challenge", "piqa"}
    assert written["tasks"]["arc_challenge"]["metric"] == "acc_norm"
    assert written["tasks"]["piqa"]["metric"] == "acc"
    for name, entry in written["tasks"].items():
        records = [
            json.loads(line)
            for line in (workdir / "eval" / f"{name}.jsonl").read_text().splitlines()
        ]
        values = [record["value"] for record in records]
        assert entry["items"] == len(values) == 20
        assert entry["value"] == pytest.approx(np.mean(values))
        assert entry["stderr"] == pytest.approx(np.std(values, ddof=1) / math.sqrt(20))
    assert written["mean"]["value"] == pytest.approx(
        np.mean([entry["value"] for entry in written["tasks"].values()])
    )
    # Another task joins; answers are found on disk, so scoring again computes nothing.
    before = {path: path.stat().st_size for path in (workdir / "eval").glob("requests-*")}
    again = evaluate_run(workdir, tasks=tasks)
    assert again == result
    assert before == {path: path.stat().st_size for path in (workdir / "eval").glob("requests-*")}
    more = evaluate_run(workdir, tasks=harness.open_tasks(["blimp"], items))
    assert set(more["tasks"]) == {"arc_challenge", "piqa", "blimp"}
    assert more["mean"] == result["mean"]  # of the paper's tasks
    gap = harness.compare_runs(workdir, workdir, "piqa")
    assert gap["difference"] == gap["ci_low"] == gap["ci_high"] == 0
    with pytest.raises(UserError, match="copa.jsonl: no such file"):
        harness.compare_runs(workdir, workdir, "copa")


def test_half_a_line_of_answers_is_dropped(tmp_path):
    from divsyn_jax.evaluation.request_cache import RequestCache

    cache = RequestCache(tmp_path / "answers.jsonl")
    cache.put({"a": [1.5, True], "b": "text"})
    cache.close()
    with open(tmp_path / "answers.jsonl", "a") as file:
        file.write('{"request": "c", "ans')
    cache = RequestCache(tmp_path / "answers.jsonl")
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == ([1.5, True], "text", None)
    cache.put({"c": [2.0, False]})
    cache.close()
    assert RequestCache(tmp_path / "answers.jsonl").get("c") == [2.0, False]


def test_long_requests_are_cut_on_the_left_and_counted(run_and_export, tmp_path):
    workdir, exported = run_and_export
    texts = small_texts(4, seed=9, words=120)
    rows = [{"text": text, "choices": ["past", "under"], "label": 0} for text in texts]
    (tmp_path / "piqa.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    tasks = harness.open_tasks(["piqa"], tmp_path)
    mesh, opened = open_language_model(workdir)
    with jax.set_mesh(mesh), opened as lm:
        ours = answers_of(lm, tasks)
        assert lm.truncated == 8
    assert_same_answers(ours, answers_of(their_language_model(exported), tasks))


def test_chat_runs_are_prompted_through_their_template(tmp_path, tokenizer_dir):
    transformers = pytest.importorskip("transformers")
    workdir = make_run(tmp_path / "run", tokenizer_dir)
    template = (
        "{{- bos_token -}}{%- for m in messages -%}<|{{ m.role }}|>\n{{ m.content }}\n{%- endfor"
        " -%}{{- '</s>' -}}"
    )
    (workdir / "tokenizer" / "chat_template.jinja").write_text(template)
    export_run(workdir, tmp_path / "hf", 1 << 30)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "hf")
    messages = [{"role": "user", "content": "the river\n holds"}]
    mesh, opened = open_language_model(workdir, chat=True)
    with jax.set_mesh(mesh), opened as lm:
        text = lm.apply_chat_template(messages)
        assert text == theirs.apply_chat_template(messages, tokenize=False)
        assert lm.tok_encode(text) == theirs.encode(text, add_special_tokens=False)
        assert lm.tok_encode(text)[0] == 1
        assert lm.tok_encode(text)[-1] == 2
        assert lm.tok_encode("plain") == [1, *lm.tok_encode("plain", add_special_tokens=False)]


def test_the_paired_bootstrap_finds_what_is_there():
    generator = np.random.default_rng(0)
    first = generator.random(4000) < 0.5
    second = np.where(generator.random(4000) < 0.1, True, first)  # better on the same items
    gap = paired_bootstrap(first, second)
    n, mean, deviation = 4000, np.mean(second * 1.0 - first), np.std(second * 1.0 - first)
    assert gap["difference"] == pytest.approx(mean)
    assert gap["ci_low"] == pytest.approx(mean - 1.96 * deviation / math.sqrt(n), abs=1e-3)
    assert gap["ci_high"] == pytest.approx(mean + 1.96 * deviation / math.sqrt(n), abs=1e-3)
    assert gap["p"] < 1e-3
    assert paired_bootstrap(first, first[::-1])["p"] > 0.05
    with pytest.raises(ValueError, match="pairs"):
        paired_bootstrap([1.0], [1.0, 0.0])


def test_means_leave_copa_out():
    tasks = {
        "piqa": {"value": 0.6, "stderr": 0.03, "items": 100},
        "copa": {"value": 0.8, "stderr": 0.04, "items": 50},
        "blimp": {"value": 0.0, "stderr": 0.5, "items": 7},
    }
    found = harness.means(tasks)
    assert found["mean"] == {
        "value": pytest.approx(0.7),
        "stderr": pytest.approx(0.025),
        "tasks": 2,
        "items": 150,
    }
    assert found["mean_without_copa"]["value"] == pytest.approx(0.6)
    assert harness.means({})["mean"] is None
    assert harness.task_names(["paper", "piqa", "blimp"])[-1] == "blimp"
    assert len(harness.task_names(["paper", "piqa"])) == 8


@pytest.mark.long
def test_without_the_hub_one_line_names_task_data(run_and_export, tmp_path, command):
    workdir, _ = run_and_export
    environment = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    import os

    result = command(
        "divsyn_jax.evaluate",
        f"--workdir={workdir}",
        "--tasks=paper",
        env={**os.environ, **environment},
    )
    fails_with_one_line(result, "--task_data=DIR", "arc_challenge")


def test_what_was_measured_on_a_checkpoint_stays(tmp_path, tokenizer_dir, items):
    workdir = make_run(tmp_path / "run", tokenizer_dir, vocab_size=400)
    corpus = write_jsonl(tmp_path / "held.jsonl", small_texts(4))
    build_shards([str(corpus)], str(tokenizer_dir), str(tmp_path / "held"), 64, "document")
    data = f"h={tmp_path / 'held'}"
    tasks = harness.open_tasks(["blimp"], items)
    found = [
        evaluate_run(workdir, data),
        evaluate_run(workdir, tasks=tasks, limit=2),
        evaluate_run(workdir, data),
    ]
    assert [(list(result["domains"]), list(result["tasks"])) for result in found] == [
        (["h"], []),
        (["h"], ["blimp"]),
        (["h"], ["blimp"]),
    ]
    assert found[2]["mean"] == found[1]["mean"]
    stored = json.loads((workdir / "eval.json").read_text())
    assert stored == found[2]
    (workdir / "eval.json").write_text(json.dumps({**stored, "checkpoint": "another"}))
    assert evaluate_run(workdir, data)["tasks"] == {}


def test_a_choice_that_is_empty_or_longer_than_the_context_is_named(run_and_export):
    from lm_eval.api.instance import Instance

    def request(choice: str) -> Instance:
        return Instance("loglikelihood", {}, ("the river", choice), 0, ("items", 7, 1))

    mesh, opened = open_language_model(run_and_export[0])
    with jax.set_mesh(mesh), opened as lm:
        with pytest.raises(UserError, match="task items, item 7: an empty choice"):
            lm.loglikelihood([request("")], disable_tqdm=True)
        with pytest.raises(UserError, match=r"the choice ' q q.* tokens long.* context is 96"):
            lm.loglikelihood([request(" q" * 200)], disable_tqdm=True)
