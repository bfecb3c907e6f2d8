"""Streaming readers for corpora: a corpus in any of its forms becomes an iterator of documents.

Forms: files of records (`.jsonl`, `.json` of lines or of one array, `.csv`, `.tsv`; also `.gz`,
`.zst`, `.bz2`, `.xz`), Parquet, Arrow and Feather, text files (`.txt`, `.md`, `.text`), a directory
of those (searched recursively, in sorted order, see found_files.py), such as `save_to_disk` of
datasets makes, a glob, each also by URL (see remote.py), `tfds:name[/config]:split` (or the folder
of a prepared TFDS dataset in place of its name), `hf:name[:config]:split`. What the text of a
record is, text_rule.py says; conversations.py how conversations are read. Memory does not grow with
the corpus. This module imports neither jax nor torch."""

import hashlib
import os
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tqdm import tqdm

from divsyn_jax.base import remote, terminal_text
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.readers import named_datasets
from divsyn_jax.data.readers.forms.arrow_rows import arrow_records
from divsyn_jax.data.readers.forms.delimited import delimited_records
from divsyn_jax.data.readers.forms.json_records import (
    is_spread_out,
    jsonl_records,
    parsed_line,
    spread_records,
)
from divsyn_jax.data.readers.forms.parquet_rows import parquet_records
from divsyn_jax.data.readers.forms.text_units import text_records
from divsyn_jax.data.readers.found_files import CorpusFile, corpus_files, find_files, say_once
from divsyn_jax.data.readers.lines import LONGEST_LINE, TooLong
from divsyn_jax.data.readers.options import ReadOptions
from divsyn_jax.data.readers.packed_streams import DAMAGES
from divsyn_jax.data.readers.records import (
    Document,
    Malformed,
    Unreadable,
    columns_to_read,
    field_text,
    is_unicode,
)
from divsyn_jax.data.readers.text_rule import TextRule

__all__ = ["CorpusReader", "Document", "Malformed", "ReadOptions", "TextFingerprint"]
__all__ += [
    "check_apart",
    "corpus_files",
    "field_text",
    "jsonl_records",
    "named_corpora",
    "split_name",
]
MAX_MALFORMED_SHARE = 0.01
_PROBLEMS_KEPT = 5
_LONGEST_PROBLEM = 500
_SUFFIX = re.compile(
    r"\.(jsonl|json|ndjson|parquet|arrow|feather|csv|tsv|txt|md|text|gz|zst|zstd|bz2|xz)(?=\.|$)"
)


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
        _SUFFIX.sub("", base) or "corpus",
        argument,
    )


def split_corpora(text: str) -> list[str]:
    """The corpora of a flag that holds several, separated by spaces; quotes hold a name with spaces
    together, as in `'a b.jsonl' c.jsonl`.

    A quote without its other half is a letter of a name, and so is a backslash."""
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split, lexer.commenters, lexer.escape = True, "", ""
    try:
        return list(lexer)
    except ValueError:
        return text.split()


def named_corpora(arguments: Sequence[str]) -> dict[str, str]:
    """Corpora, given as CORPUS or NAME=CORPUS, by name; raises `UserError` for a name that is
    taken."""
    corpora: dict[str, str] = {}
    for argument in arguments:
        name, spec = split_name(argument)
        if name in corpora:
            raise UserError(
                f"{argument}: a second corpus named {name!r}; give each its own name, as"
                f" NAME={spec}"
            )
        corpora[name] = spec
    return corpora


def check_apart(spec: str, output: str | os.PathLike[str]) -> None:
    """Raise `UserError` when the folder `output`, which a command replaces, holds the corpus that
    it reads, or a part of it.
    """
    if spec.startswith(("tfds:", "hf:")) or remote.is_remote(spec):
        return
    folder = os.path.join(os.path.realpath(output), "")
    for path in corpus_files(spec):
        if os.path.realpath(path).startswith(folder):
            raise UserError(
                f"{output}: holds {path} of the corpus to read, which would be replaced; name"
                " another folder"
            )


class CorpusReader:
    """Iterates over the documents of one corpus; the counts below are complete once the iteration
    has ended.

    Args:
      fields: fields that the documents must have beside their text, where a file can be read by
        column; None for all.

    Attributes:
      lines: records seen, malformed and empty ones included.
      documents: documents yielded.
      empty: records skipped because their text is null or holds nothing but white space.
      malformed: records skipped because of broken JSON, encoding or a missing field.
      problems: the first few malformed records, as `file:line: what is wrong`.
      columns: names of the columns of the table read last, if one was.

    What a directory holds beside documents is said on standard error once, and by `left_out`.

    Raises (while iterating) `UserError` when a file is missing or unreadable, when `strict` meets a
    malformed record, and at the end when more than 1% of the records were malformed or no document
    was found."""

    _remedy = "correct the file or --text_field"

    def __init__(
        self,
        spec: str,
        options: ReadOptions = ReadOptions(),  # noqa: B008  frozen
        fields: Sequence[str] | None = (),
    ) -> None:
        self.spec = spec
        self.options = options
        self._fields = fields
        self._rule = TextRule(options)
        self.columns: tuple[str, ...] = ()
        self._start()

    def _start(self) -> None:
        self.lines = self.documents = self.empty = self.malformed = 0
        self.problems: list[str] = []
        self._files_left_out: list[str] = []
        self._rule.left_out.clear()

    def __iter__(self) -> Iterator[Document]:
        self._start()
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

    def left_out(self) -> list[str]:
        """What the corpus holds and is in no document: files, a line a reason, and parts of
        conversations without text."""
        parts = [f"{count:,} of a {kind}" for kind, count in sorted(self._rule.left_out.items())]
        return [*self._files_left_out, *parts]

    def _document(self, where: str, record: Any) -> Document:
        record = self._decoded(record)
        if isinstance(record, str):
            return Document(record, {}, where)
        return Document(self._rule.text(record), record, where)

    def _choose(self, path: str, names: Sequence[str]) -> list[str] | None:
        """The fields to read of a table with these columns; None for all.

        Raises `UserError` when the text is in none of them."""
        self.columns = tuple(names)
        wanted = columns_to_read(path, names, self._text_fields(path, names))
        if self._fields is None:
            return None
        return [*wanted, *(field for field in self._fields if field.split(".")[0] in names
                           or field in names)]  # fmt: skip

    def _text_fields(self, path: str, names: Sequence[str]) -> Sequence[str]:
        return self._rule.fields(names)

    def _is_empty(self, document: Document) -> bool:
        return not document.text.strip()

    @staticmethod
    def _decoded(record: Any) -> "str | Mapping[str, Any]":
        """A line of JSONL becomes its object; text and records of other forms stay as they are."""
        if isinstance(record, TooLong):
            raise Malformed(
                f"longer than {LONGEST_LINE >> 20} MiB; split it, or give --text_unit=paragraph or"
                " line for a text file"
            )
        if isinstance(record, Unreadable):
            raise Malformed(record.why)
        if isinstance(record, bytes):
            record = parsed_line(record)
        if isinstance(record, str) and not is_unicode(record):
            raise Malformed("holds half a surrogate pair, which is not Unicode text")
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

    def _records(self) -> Iterator[tuple[str, Any]]:
        if self.spec.startswith("tfds:"):
            yield from named_datasets.tfds_records(self.spec)
            return
        if self.spec.startswith("hf:"):
            yield from named_datasets.hf_records(
                self.spec, lambda names: self._choose(self.spec, names)
            )
            return
        found = find_files(self.spec)
        self._files_left_out = found.left_out
        for line in found.left_out:
            say_once(f"{self.spec}: left out, {line}")
        for line in found.remarks:
            say_once(f"{self.spec}: {line}")
        for file in found.files:
            try:
                yield from self._records_of(file)
            except DAMAGES as error:
                raise UserError(
                    f"{file.path}: cannot be read to its end ({error}); the file is truncated or"
                    " damaged"
                ) from None

    def _records_of(self, file: CorpusFile) -> Iterable[tuple[str, Any]]:
        path = file.path
        if file.form == "parquet":
            return parquet_records(path, lambda names: self._choose(path, names))
        if file.form == "arrow":
            return arrow_records(path, lambda names: self._choose(path, names))
        if file.form == "text":
            return text_records(path, self.options.text_unit)
        if file.form == "delimited":
            return delimited_records(path, ".tsv" in path.lower())
        if is_spread_out(path, file.packing):
            return spread_records(path, file.packing)
        return jsonl_records(path, file.packing)


def with_progress(reader: CorpusReader) -> Iterable[Document]:
    """The documents, with a bar on standard error for a corpus that takes its time. The total is
    unknown, so it shows a rate and no ETA."""
    documents: Iterable[Document] = tqdm(
        reader,
        desc=terminal_text.one_line(f"reading {reader.spec}", 200),
        unit="doc",
        delay=2,
        mininterval=1,
        file=sys.stderr,
    )
    return documents
