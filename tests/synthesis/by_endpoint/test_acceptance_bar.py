"""The bar of a writer with an endpoint counts what is accepted, in whatever order."""

import itertools

import pytest

from divsyn_jax.synthesis.by_endpoint import acceptance_bar
from divsyn_jax.synthesis.by_endpoint.gates import Gates
from divsyn_jax.synthesis.by_endpoint.grid import Grid
from divsyn_jax.synthesis.by_endpoint.writer import generate_documents
from divsyn_jax.synthesis.record_file import RecordWriter
from divsyn_jax.synthesis.seeds import TopicSeed

BRAINS = "tests.synthesis.writer_brains"


class Shown(acceptance_bar.tqdm):
    """A bar that remembers every count and its words."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.seen = [(0, "")]
        Shown.last = self

    def update(self, n=1):
        super().update(n)
        self.seen.append((self.n, self.postfix))


@pytest.fixture
def shown(monkeypatch):
    monkeypatch.setattr(acceptance_bar, "tqdm", Shown)
    return lambda: Shown.last


def grid(*topics):
    return Grid(
        topics=[TopicSeed(topic) for topic in topics],
        styles=["letter"],
        personas=["a nurse"],
        models=["test"],
        topics_per_document=1,
        personas_shown=1,
        generations=4,
        seed=3,
    )


def test_what_waits_for_an_earlier_cell_is_counted_at_once(serve, tmp_path, shown, monkeypatch):
    counts_at_writing = []
    write = RecordWriter.write

    def watched(self, record):
        counts_at_writing.append(shown().n)
        write(self, record)

    monkeypatch.setattr(RecordWriter, "write", watched)
    server = serve(brain=f"{BRAINS}:late_about_beekeeping")
    asked = grid("beekeeping", "tides", "weaving")
    generate_documents(asked, [server.settings(concurrency=12)], Gates(), 8, tmp_path / "out")
    # All of the second and third cell came before the first document of the first cell.
    assert counts_at_writing[0] >= 8
    assert shown().n == shown().total == len(counts_at_writing) == 12
    assert "in flight" in shown().seen[1][1]


def test_rejected_answers_are_told_and_a_repeated_one_is_taken_back(serve, tmp_path, shown):
    server = serve(brain=f"{BRAINS}:careless")
    manifest = generate_documents(
        grid("tides", "weaving", "chess"), [server.settings()], Gates(), 8, tmp_path / "out"
    )
    counts = [count for count, _ in shown().seen]
    steps = [after - before for before, after in itertools.pairwise(counts)]
    rejects = manifest["rejects"]
    repeats = rejects.get("near_duplicate", 0) + rejects.get("duplicate", 0)
    assert steps.count(-1) == repeats > 0
    assert steps.count(0) == sum(rejects.values()) - repeats > 0
    assert counts[-1] == manifest["documents"] == 12
    assert max(counts) <= 12
    assert shown().seen[-1][1].startswith(f"{sum(rejects.values())} rejected, 0 in flight")
