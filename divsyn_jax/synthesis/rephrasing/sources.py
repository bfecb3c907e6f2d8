"""The documents that are told again, and the cells: source x format x model."""

import dataclasses
import hashlib
import itertools
from collections.abc import Iterator, Sequence

from divsyn_jax.base.words import count_words
from divsyn_jax.data.readers.corpus import CorpusReader, TextFingerprint
from divsyn_jax.data.readers.options import ReadOptions
from divsyn_jax.synthesis.rephrasing.formats import REPHRASING_FORMATS, RephrasingFormat


@dataclasses.dataclass(frozen=True)
class SourceDocument:
    """One document to tell again.

    Attributes: text: as a prompt shows it. where: its place. digest: 64 bits of the SHA-256 of its
      whole text, hexadecimal. words: how many the text has.
    """

    text: str
    where: str
    digest: str
    words: int


@dataclasses.dataclass(frozen=True)
class RephrasingCell:
    """One cell: what is told again, how, and by which of the models.

    Attributes: name: what tells the cell from all others, also in another corpus.
    """

    source: SourceDocument
    form: RephrasingFormat
    model: int
    name: str


class SourceCells:
    """The cells of a corpus in its order: all formats and models of a document, then the next, so
    that any front part of the result has every format equally often.

    Args: most: documents to read at most. characters: of a document that a prompt shows, at most.

    Attributes, complete after the iteration: sources: documents taken. repeated: documents left out
      because an earlier one has their text. cut: documents that are longer than `characters`.
      malformed: records that could not be read. fingerprint: of the documents taken.
    """

    def __init__(
        self,
        spec: str,
        options: ReadOptions,
        formats: Sequence[str],
        models: Sequence[str],
        most: int,
        characters: int,
    ) -> None:
        self._spec, self._options, self._most = spec, options, most
        self._formats = [REPHRASING_FORMATS[name] for name in formats]
        self._models, self._characters = models, characters
        self.sources = self.repeated = self.cut = self.malformed = 0
        self.fingerprint = ""

    def __iter__(self) -> Iterator[RephrasingCell]:
        for source in self.documents():
            for form, (place, model) in itertools.product(self._formats, enumerate(self._models)):
                name = f"{source.digest} / {form.name} / {model}"
                yield RephrasingCell(source, form, place, name)

    def documents(self) -> Iterator[SourceDocument]:
        """The documents, each text once. Raises `UserError` for a corpus that cannot be read."""
        self.sources = self.repeated = self.cut = 0
        seen: set[str] = set()
        fingerprint = TextFingerprint()
        reader = CorpusReader(self._spec, self._options)
        for document in reader:
            if self.sources == self._most:
                break
            digest = hashlib.sha256(document.text.encode()).hexdigest()[:16]
            if digest in seen:
                self.repeated += 1
                continue
            seen.add(digest)
            fingerprint.update(document.text)
            self.sources += 1
            self.cut += len(document.text) > self._characters
            text = document.text[: self._characters]
            yield SourceDocument(text, document.where, digest, count_words(text))
        self.malformed, self.fingerprint = reader.malformed, fingerprint.hexdigest()
