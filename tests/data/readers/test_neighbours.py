"""What the neighbours' tools write is read as it is.

The layouts are those of NeMo Data Designer 0.1 (engine/storage/artifact_storage.py), datatrove
(pipeline/writers, executor) and distilabel 1.5 (distiset.py, steps/formatting/sft.py); the texts
are made up.
"""

import gzip
import json

import pytest

from divsyn_jax.base.errors import UserError
from divsyn_jax.data.readers.corpus import CorpusReader, ReadOptions


def _texts(path, **options):
    reader = CorpusReader(str(path), ReadOptions(**options))
    return [document.text for document in reader], reader.left_out()


def _table(path, rows):
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(arrow.Table.from_pylist(rows), path)


@pytest.fixture
def designed(tmp_path):
    """A folder as Data Designer leaves it: two batches, columns dropped, a processor's output."""
    folder = tmp_path / "artifacts" / "reviews"
    for batch in range(2):
        rows = [
            {
                "product_category": "Kettles",
                "customer": {"first_name": "Ada", "age": 30 + n},
                "review": f"It boils, batch {batch}, number {n}.",
                "review__reasoning_trace": "I should write about water.",
                "stars": 4,
            }
            for n in range(3)
        ]
        name = f"batch_{batch:05d}.parquet"
        _table(folder / "parquet-files" / name, rows)
        _table(folder / "dropped-columns-parquet-files" / name, [{"seed": n} for n in range(3)])
        _table(folder / "processors-files" / "chat" / name, [{"review": "again"}])
    _table(folder / "tmp-partial-parquet-files" / "batch_00002.parquet", [{"review": "half"}])
    for name in ("metadata.json", "builder_config.json", "sdg.json", "column_configs.json"):
        (folder / name).write_text(json.dumps({"target_num_records": 6}))
    return folder


def test_data_designers_batches_are_read_and_nothing_beside_them(designed):
    texts, left_out = _texts(designed, text_field="review")
    assert texts == [f"It boils, batch {b}, number {n}." for b in range(2) for n in range(3)]
    said = "; ".join(left_out)
    assert "kept apart by Data Designer: dropped-columns-parquet-files/batch_00000.parquet" in said
    assert "tmp-partial-parquet-files" in said
    assert "builder_config.json" in said
    both, _ = _texts(designed, text_template="{product_category}: {review}")
    assert both[0] == "Kettles: It boils, batch 0, number 0."


def test_a_part_of_it_can_be_named(designed):
    texts, _ = _texts(designed / "processors-files" / "chat", text_field="review")
    assert texts == ["again", "again"]
    with pytest.raises(UserError, match="no field 'text'.*--text_field|no column"):
        _texts(designed)


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_datatroves_output_is_read_beside_its_logs(tmp_path, form):
    folder = tmp_path / "out"
    folder.mkdir()
    for rank in range(2):
        rows = [
            {
                "text": f"Page {n} of rank {rank}.",
                "id": f"<urn:uuid:{rank}-{n}>",
                "metadata": {"url": "https://a.example", "language_score": 0.98, "dump": "x"},
            }
            for n in range(3)
        ]
        if form == "parquet":
            _table(folder / f"{rank:05d}.parquet", rows)
        else:
            data = "".join(json.dumps(row) + "\n" for row in rows).encode()
            (folder / f"{rank:05d}.jsonl.gz").write_bytes(gzip.compress(data))
        # The logging_dir of the executor, in the same folder.
        for inner, name, content in (
            ("completions", f"{rank:05d}", ""),
            ("logs", f"task_{rank:05d}.log", "2026-11-30 | INFO\n"),
            ("stats", f"{rank:05d}.json", json.dumps([{"name": "Writer", "stats": {}}], indent=4)),
        ):
            (folder / inner).mkdir(exist_ok=True)
            (folder / inner / name).write_text(content)
    (folder / "executor.json").write_text(json.dumps({"tasks": 2}, indent=4))
    (folder / "stats.json").write_text(json.dumps([{"name": "Writer"}], indent=4))
    texts, left_out = _texts(folder)
    assert texts == [f"Page {n} of rank {rank}." for rank in range(2) for n in range(3)]
    assert "notes of programs: completions/00000" in "; ".join(left_out)
    assert "and 3 more" in "; ".join(left_out)


def test_a_folder_of_stats_that_no_run_wrote_is_data(tmp_path):
    (tmp_path / "stats").mkdir()
    (tmp_path / "stats" / "a.jsonl").write_text('{"text": "one"}\n')
    assert _texts(tmp_path)[0] == ["one"]


ROW = {
    "instruction": "Name a river.",
    "generation": "The Elbe.",
    "distilabel_metadata": {
        "raw_input_text_generation_0": [{"role": "user", "content": "Name a river."}],
        "raw_output_text_generation_0": "The Elbe.",
        "statistics_text_generation_0": {"input_tokens": 4, "output_tokens": 3},
    },
    "model_name": "m",
}
MESSAGES = [
    {"role": "user", "content": "Name a river."},
    {"role": "assistant", "content": "The Elbe."},
]


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (ROW, "Name a river.\n\nThe Elbe."),
        (ROW | {"system_prompt": "Be brief."}, "Be brief.\n\nName a river.\n\nThe Elbe."),
        # FormatTextGenerationSFT keeps what it was given.
        (
            ROW | {"prompt": "Name a river.", "prompt_id": "0" * 64, "messages": MESSAGES},
            "Name a river.\n\nThe Elbe.",
        ),
        ({"conversation": MESSAGES, "model_name": "m"}, "Name a river.\n\nThe Elbe."),
    ],
)
def test_a_distiset_is_read(tmp_path, row, text):
    datasets = pytest.importorskip("datasets")
    folder = tmp_path / "distiset"
    split = datasets.Dataset.from_list([row] * 3)
    datasets.DatasetDict({"train": split}).save_to_disk(folder / "default")
    configs = folder / "distiset_configs"
    configs.mkdir()
    (configs / "README.md").write_text("# Dataset Card")
    (configs / "pipeline.yaml").write_text("distilabel:\n  version: 1.5.3\n")
    (configs / "pipeline.log").write_text("[2026-11-30] INFO\n")
    texts, left_out = _texts(folder)
    assert texts == [text] * 3
    assert "pipeline.yaml" in "; ".join(left_out)
    hub = tmp_path / "hub" / "data" / "train-00000-of-00001.parquet"
    _table(hub, [row] * 3)
    assert _texts(tmp_path / "hub")[0] == [text] * 3
    assert _texts(folder, part="response")[0] == ["The Elbe."] * 3
