"""Memory is bounded by us, and a truncated file is named, wherever it was cut."""

import io
import json
import subprocess
import sys

import pytest
import zstandard

from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.readers.corpus import CorpusReader
from divsyn_jax.data.readers.zstd_stream import ZstdStream
from tests.conftest import ROOT

TEXT = b"".join(b'{"text": "document %d"}\n' % number for number in range(500))


def frames(text, **options):
    compressor = zstandard.ZstdCompressor(**options)
    half = len(text) // 2
    unsized = compressor.compressobj()
    return (
        compressor.compress(text[:half])
        + b"\x50\x2a\x4d\x18\x05\x00\x00\x00hello"  # a skippable frame
        + unsized.compress(text[half:])
        + unsized.flush()
    )


@pytest.mark.parametrize("options", [{}, {"write_checksum": True}, {"write_content_size": False}])
def test_frames_are_read_whole_and_a_cut_is_named(options):
    packed = frames(TEXT, **options)
    assert ZstdStream(io.BytesIO(packed)).readall() == TEXT
    first = len(zstandard.ZstdCompressor(**options).compress(TEXT[: len(TEXT) // 2]))
    whole = {0, first, first + 13, len(packed)}
    for cut in range(len(packed)):
        stream = ZstdStream(io.BytesIO(packed[:cut]))
        if cut in whole:
            stream.readall()
        else:
            with pytest.raises((EOFError, zstandard.ZstdError)):
                stream.readall()


def test_small_reads_and_an_empty_frame():
    packed = zstandard.compress(b"") + frames(TEXT)

    class Dripping(io.BytesIO):
        def read(self, size=-1):
            return super().read(min(size, 7) if size > 0 else size)

    assert ZstdStream(Dripping(packed)).readall() == TEXT


def test_garbage_after_a_frame_is_refused(tmp_path):
    path = tmp_path / "a.jsonl.zst"
    path.write_bytes(frames(TEXT) + b"garbage")
    with pytest.raises(UserError, match="truncated or damaged"):
        list(CorpusReader(str(path)))


MEASURE = """
import resource, sys
from divsyn_jax.data.readers.corpus import CorpusReader
if sys.argv[1].endswith("parquet"):
    import pyarrow.parquet
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
count = sum(1 for _ in CorpusReader(sys.argv[1]))
print(count, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


def read_elsewhere(path):
    """Documents, and MiB that reading them took, in a process of its own."""
    result = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=200,
    )
    assert result.returncode == 0, result.stderr
    return tuple(map(int, result.stdout.split()))


def test_a_bomb_of_blank_lines_takes_no_memory(tmp_path):
    path = tmp_path / "bomb.jsonl.zst"
    compressor = zstandard.ZstdCompressor(level=1).compressobj()
    blank = b" " * ((1 << 20) - 1) + b"\n"
    with open(path, "wb") as file:
        file.write(compressor.compress(b'{"text": "a"}\n'))
        for _ in range(512):
            file.write(compressor.compress(blank))
        file.write(compressor.flush())
    assert path.stat().st_size < 64 << 10
    documents, mebibytes = read_elsewhere(path)
    assert documents == 1
    assert mebibytes < 64


def test_a_parquet_file_that_repeats_one_long_value_is_read_in_parts(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    values = pyarrow.DictionaryArray.from_arrays(
        pyarrow.array([0] * 2000, pyarrow.int32()), pyarrow.array(["a " * (4 << 20)])
    )
    path = tmp_path / "a.parquet"
    parquet.write_table(
        pyarrow.table({"text": values}),
        path,
        compression="zstd",
        dictionary_pagesize_limit=1 << 30,
    )
    assert path.stat().st_size < 1 << 20
    documents, mebibytes = read_elsewhere(path)
    assert documents == 2000
    assert mebibytes < 3000  # of 16,000 that it unpacks to


def test_a_parquet_file_that_is_none_is_one_line(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    for content in (b"", b"PAR1", b"PAR1" * 100, json.dumps({}).encode()):
        path.write_bytes(content)
        with pytest.raises(UserError, match="a.parquet"):
            list(CorpusReader(str(path)))
