import pytest

from divsyn_jax.data.readers.corpus import ReadOptions
from divsyn_jax.diversity.sampling import read_sample
from tests.endpoint.conftest import serve  # noqa: F401  a fixture

from .corpora import write_records


@pytest.fixture
def make_sample(tmp_path):
    """Records -> the sample read from a file that holds them."""

    def make(records, label_field=None):
        path = write_records(tmp_path / "records.jsonl", records)
        return read_sample(
            str(path), ReadOptions(), documents=5000, label_field=label_field, seed=0
        )

    return make
