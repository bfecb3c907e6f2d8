"""Streaming readers for corpora: a corpus in any of its forms becomes an iterator of documents.

Forms: a JSONL file (`.jsonl`/`.json`, also `.gz` and `.zst`), a Parquet file, a text file (`.txt`,
`.md`, `.text`), a directory of those (searched recursively, in sorted order), a glob, each also by
URL (see remote.py), `tfds:name[/config]:split` (or the folder of a prepared TFDS dataset in place
of its name), `hf:name[:config]:split`. Memory does not grow with the corpus. This module imports
neither jax nor torch."""

import dataclasses
import glob
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import IO, Any, Literal, cast

import zstandard

from divsyn_jax.base import remote, terminal_text
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.readers import named_datasets
from divsyn_jax.data.readers.lines import LONGEST_LINE, TOO_LONG, TooLong, bounded_lines
from divsyn_jax.data.readers.parquet_rows import parquet_records
from divsyn_jax.data.readers.zstd_stream import ZstdStream

JSONL_SUFFIXES = (".jsonl", ".json", ".ndjson")
TEXT_SUFFIXES = (".txt", ".md", ".text")
MAX_MALFORMED_SHARE = 0.01
_PROBLEMS_KEPT = 5
_LONGEST_PROBLEM = 500
# What other commands put beside the documents of a corpus.
_NO_DOCUMENTS = ("manifest.json", "score.json")


@dataclasses.dataclass(frozen=True)
class ReadOptions:
    """How to read a corpus.

    Attributes:
      text_field: JSON or Parquet field that holds a document's text.
      text_unit: what a document is in a text file; paragraphs are separated by blank lines.
      strict: stop at the first malformed line instead of counting it.
    """

    text_field: str = "text"
    text_unit: Literal["file", "paragraph", "line"] = "file"
    strict: bool = False


@dataclasses.dataclass(frozen=True)
class Document:
    """One document: its text, the other fields of its record, and where it stands (`file:line`)."""

    text: str
    fields: Mapping[str, Any]
    where: str


class Malformed(Exception):
    """One record cannot be used; the message says why, without the place."""


class TextFingerprint:
    """SHA-256 over decoded texts in order, each preceded by its length; path and compression do not
    enter.

    The one fingerprint of the project: scores, shard manifests and studies compare corpora by it.
    """

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def update(self, text: str) -> None:
        """Add the next document."""
        encoded = text.encode("utf-8")
        self._hash.update(len(encoded).to_bytes(8, "little"))
        self._hash.update(encoded)

    def hexdigest(self) -> str:
        """The fingerprint of the documents added so far: 64 hexadecimal digits."""
        return self._hash.hexdigest()


def split_name(argument: str) -> tuple[str, str]:
    """Split a `name=path` argument, or name a bare path after its last component without suffixes.

    Example: `wiki=../data/real_wiki.jsonl.gz` -> (`wiki`, path); `a/b_k01.jsonl.gz` -> (`b_k01`,
    path)."""
    named = re.match(r"([A-Za-z0-9][\w.-]*)=(.+)", argument)
    if named and not os.path.exists(argument):
        return named[1], named[2]
    base = re.split(r"[/:]", argument.rstrip("/"))[-1].replace("*", "")
    return (
        re.sub(r"\.(jsonl|json|ndjson|parquet|txt|md|text|gz|zst)(?=\.|$)", "", base) or "corpus",
        argument,
    )


class CorpusReader:
    """Iterates over the documents of one corpus; the counts below are complete once the iteration
    has ended.

    Attributes:
      lines: records seen, malformed and empty ones included.
      documents: documents yielded.
      empty: records skipped because their text holds nothing but white space.
      malformed: records skipped because of broken JSON, encoding or a missing field.
      problems: the first few malformed records, as `file:line: what is wrong`.

    Raises (while iterating) `UserError` when a file is missing or unreadable, when `strict` meets a
    malformed record, and at the end when more than 1% of the records were malformed or no document
    was found."""

    _remedy = "correct the file or --text_field"

    def __init__(self, spec: str, options: ReadOptions = ReadOptions()) -> None:
        self.spec = spec
        self.options = options
        self.lines = self.documents = self.empty = self.malformed = 0
        self.problems: list[str] = []

    def __iter__(self) -> Iterator[Document]:
        self.lines = self.documents = self.empty = self.malformed = 0
        self.problems = []
        for where, record in self._records():
            self.lines += 1
            try:
                document = self._document(where, record)
            except Malformed as problem:
                self._count_malformed(f"{where}: {problem}")
                continue
            if self._is_empty(document):
                self.empty += 1
                continue
            self.documents += 1
            yield document
        if self.malformed > MAX_MALFORMED_SHARE * self.lines:
            raise UserError(
                f"{self.problems[0]} ({self.malformed:,} of {self.lines:,} records of {self.spec}"
                f" are malformed, over {MAX_MALFORMED_SHARE:.0%}: {self._remedy})"
            )
        if not self.documents:
            raise UserError(
                f"{self.spec}: no documents ({self.lines} records, {self.empty} of them empty);"
                " give a corpus with text"
            )

    def _document(self, where: str, record: "bytes | str | Mapping | TooLong") -> Document:
        record = self._decoded(record)
        if isinstance(record, str):
            return Document(record, {}, where)
        field = self.options.text_field
        if field not in record:
            raise Malformed(
                f"no field {field!r} (it has: {', '.join(map(str, record)) or 'none'}); name it"
                " with --text_field"
            )
        return Document(
            field_text(record, field, "; name another with --text_field"), record, where
        )

    def _column(self) -> str | None:
        """The column that a Parquet file must have."""
        return self.options.text_field

    def _is_empty(self, document: Document) -> bool:
        return not document.text.strip()

    @staticmethod
    def _decoded(record: "bytes | str | Mapping | TooLong") -> str | Mapping:
        """A line of JSONL becomes its object; text and records of other forms stay as they are."""
        if isinstance(record, TooLong):
            raise Malformed(
                f"longer than {LONGEST_LINE >> 20} MiB; split it, or give --text_unit=paragraph or"
                " line for a text file"
            )
        if isinstance(record, bytes):
            try:
                record = json.loads(record.decode("utf-8"))
            except UnicodeDecodeError as error:
                raise Malformed(
                    f"not UTF-8 (byte {error.start}); convert the file to UTF-8"
                ) from None
            except (
                ValueError,
                RecursionError,
            ) as error:  # json's own error, or a number of thousands of digits
                why = (
                    "nested too deeply"
                    if isinstance(error, RecursionError)
                    else getattr(error, "msg", error)
                )
                raise Malformed(f"not JSON ({why}); one object a line is expected") from None
        if not isinstance(record, str | Mapping):
            raise Malformed(f"a JSON object is expected, not {type(record).__name__}")
        return record

    def _count_malformed(self, problem: str) -> None:
        # It repeats names from the file, and goes to terminals, pages and result files.
        problem = terminal_text.one_line(problem, _LONGEST_PROBLEM)
        if self.options.strict:
            raise UserError(f"{problem} (--strict)")
        self.malformed += 1
        if len(self.problems) < _PROBLEMS_KEPT:
            self.problems.append(problem)

    def _records(self) -> Iterator[tuple[str, "bytes | str | Mapping | TooLong"]]:
        if self.spec.startswith("tfds:"):
            yield from named_datasets.tfds_records(self.spec)
            return
        if self.spec.startswith("hf:"):
            yield from named_datasets.hf_records(self.spec)
            return
        for path in corpus_files(self.spec):
            kind = _kind(path)
            try:
                if kind == "parquet":
                    yield from parquet_records(path, self._column())
                elif kind == "jsonl":
                    yield from jsonl_records(path)
                else:
                    yield from self._text_records(path)
            except (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError, OSError) as error:
                raise UserError(
                    f"{path}: cannot be read to its end ({error}); the file is truncated or damaged"
                ) from None

    def _text_records(self, path: str) -> Iterator[tuple[str, str | TooLong]]:
        with _open(path) as stream:
            for number, raw in _text_units(stream, self.options.text_unit):
                where = f"{path}:{number}"
                if isinstance(raw, TooLong):
                    yield where, raw
                    continue
                try:
                    yield where, raw.decode("utf-8-sig" if number == 1 else "utf-8")
                except UnicodeDecodeError as error:
                    self.lines += 1
                    self._count_malformed(
                        f"{where}: not UTF-8 (byte {error.start}); convert the file to UTF-8"
                    )


def field_text(record: Mapping, field: str, remedy: str = "") -> str:
    """The text of a field that `record` has.

    Raises `Malformed` when it holds anything but Unicode text.
    """
    text = record[field]
    if isinstance(text, bytes):  # tfds hands out strings as bytes
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed(f"field {field!r} is not UTF-8") from None
    if not isinstance(text, str):
        raise Malformed(f"field {field!r} holds {type(text).__name__}, not text{remedy}")
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise Malformed(
            f"field {field!r} holds half a surrogate pair, which is not Unicode text"
        ) from None
    return text


def corpus_files(spec: str) -> list[str]:
    """The files of a path, directory or glob, sorted.

    Raises `UserError` when there are none, a format is unknown, or a name is not UTF-8 and so can
    stand in no result.
    """
    found = _found(spec)
    for path in found:
        try:
            path.encode("utf-8")
        except UnicodeEncodeError:
            raise UserError(f"{path!a}: its name is not UTF-8; rename it") from None
    return found


def _found(spec: str) -> list[str]:
    if not spec:
        raise UserError("an empty name among the corpora; name a file, directory or glob")
    if remote.is_remote(spec):
        return _remote_files(spec)
    if os.path.isdir(spec):
        found = sorted(
            str(p)
            for p in pathlib.Path(spec).rglob("*")
            if p.is_file()
            and not p.name.startswith(".")
            and p.name not in _NO_DOCUMENTS
            and _kind(str(p))
        )
        if not found:
            raise UserError(f"{spec}: no .jsonl, .parquet or text files in this directory")
        return found
    if os.path.exists(spec):
        found = [spec]
    elif glob.has_magic(spec):
        found = sorted(glob.glob(spec, recursive=True))
        if not found:
            raise UserError(f"{spec}: no file matches this pattern")
    else:
        raise UserError(f"{spec}: no such file or directory")
    for path in found:
        if not _kind(path):
            raise UserError(
                f"{path}: unknown format; use .jsonl, .parquet or .txt (text formats also .gz or"
                " .zst)"
            )
    return found


def _remote_files(url: str) -> list[str]:
    found = remote.find_urls(url)
    if found is None:
        raise UserError(f"{url}: nothing there")
    if found != [url]:
        found = [
            path for path in found if path.rpartition("/")[2] not in _NO_DOCUMENTS and _kind(path)
        ]
    if not found or not _kind(found[0]):
        raise UserError(f"{url}: no .jsonl, .parquet or text files there")
    return found


def _kind(path: str) -> str | None:
    stem = re.sub(r"\.(gz|zst)$", "", path.lower())
    if stem.endswith(JSONL_SUFFIXES):
        return "jsonl"
    if stem.endswith(TEXT_SUFFIXES):
        return "text"
    return "parquet" if path.lower().endswith(".parquet") else None


def _open(path: str) -> IO[bytes]:
    stream: IO[bytes] = remote.open_file(path) if remote.is_remote(path) else open(path, "rb")
    if path.lower().endswith(".gz"):
        return cast(IO[bytes], gzip.open(stream, "rb"))
    if path.lower().endswith(".zst"):
        return cast(IO[bytes], io.BufferedReader(ZstdStream(stream), buffer_size=1 << 20))
    return stream


def jsonl_records(path: str) -> Iterator[tuple[str, bytes | TooLong]]:
    """(`file:line`, bytes) of every line that is not blank; `TooLong` for one over
    `LONGEST_LINE`.
    """
    with _open(path) as stream:
        for number, line in enumerate(bounded_lines(stream), 1):
            if isinstance(line, TooLong):
                yield f"{path}:{number}", line
                continue
            if number == 1:
                line = line.removeprefix(b"\xef\xbb\xbf")
            if line.strip():
                yield f"{path}:{number}", line


def _text_units(stream: IO[bytes], unit: str) -> Iterator[tuple[int, bytes | TooLong]]:
    """Line number and bytes of every document of a text file."""
    if unit == "file":
        data = stream.read(LONGEST_LINE + 1)
        yield 1, data if len(data) <= LONGEST_LINE else TOO_LONG
        return
    start, held = 1, 0
    block: list[bytes] = []
    for number, line in enumerate(bounded_lines(stream), 1):
        if unit == "line":
            yield number, line if isinstance(line, TooLong) else line.rstrip(b"\r")
        elif isinstance(line, TooLong) or line.strip():
            start = start if held else number
            held += LONGEST_LINE + 1 if isinstance(line, TooLong) else len(line) + 1
            if isinstance(line, TooLong) or held > LONGEST_LINE:
                block.clear()
            else:
                block.append(line)
        elif held:
            yield start, _paragraph(block, held)
            block, held = [], 0
    if held:
        yield start, _paragraph(block, held)


def _paragraph(lines: list[bytes], held: int) -> bytes | TooLong:
    return b"\n".join(lines).rstrip() if held <= LONGEST_LINE else TOO_LONG
