"""A document as an embedding model reads it: the pieces of its vocabulary, up to the model's limit.

The tokenizers are those of the `tokenizers` library: neither JAX nor torch is loaded to read.
"""

import dataclasses
import functools
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

# A first cut of this many characters a piece holds enough pieces of most texts; it is doubled for
# the others. A tokenizer needs time that grows faster than a text: a Chinese book of a million
# characters took 32 s, of which the model reads a page.
_CHARACTERS_A_PIECE = 8
# A word longer than this is one unknown piece to WordPiece, whatever its letters: a block of base64
# is one word that cannot be read, and counts no more than this.
_LONGEST_WORD = 100


@dataclasses.dataclass(frozen=True)
class Pieces:
    """What a model reads of one text.

    Attributes:
      ids_L: the L pieces that are read, special ones left out.
      text: the beginning of the text that holds them.
      whole: whether nothing of the text lies beyond the limit.
      unknown_pieces: pieces of the L that are not in the vocabulary.
      unknown: share of the characters read that lie in unknown pieces; 1 for a text of which no
        piece is left.
      by_letter: share of the characters read that are single letters of longer words.
    """

    ids_L: np.ndarray
    text: str
    whole: bool
    unknown_pieces: int
    unknown: float
    by_letter: float


class PieceReader:
    """Cuts texts into pieces, each up to `limit` of them.

    Args:
      tokenizer: of the model; its own truncation and padding are turned off.
      limit: pieces that the model reads, special ones among them.
    """

    def __init__(self, tokenizer: "Tokenizer", limit: int) -> None:
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._limit = limit - tokenizer.num_special_tokens_to_add(False)

    def read(self, texts: Sequence[str]) -> list[Pieces]:
        """The pieces of every text, in order."""
        found: dict[int, Pieces] = {}
        open_ = list(range(len(texts)))
        characters = _CHARACTERS_A_PIECE * self._limit
        while open_:
            cut = [texts[place][:characters] for place in open_]
            encodings = self._tokenizer.encode_batch(cut, add_special_tokens=False)
            again = []
            for place, text, encoding in zip(open_, cut, encodings, strict=True):
                complete = len(text) == len(texts[place])
                if complete or self._certain(encoding) >= self._limit:
                    found[place] = self._pieces(text, encoding, complete)
                else:
                    again.append(place)
            open_, characters = again, 2 * characters
        return [found[place] for place in range(len(texts))]

    def _certain(self, encoding: "Encoding") -> int:
        """Pieces that more text cannot change: all but those of the last word, which may go on."""
        words = encoding.word_ids
        last = words[-1] if words else None
        return sum(word != last for word in words)

    def _pieces(self, text: str, encoding: "Encoding", complete: bool) -> Pieces:
        ids_L = np.array(encoding.ids[: self._limit], np.int32)
        length = len(ids_L)
        whole = complete and len(encoding.ids) == length
        if not length:
            return Pieces(ids_L, text, whole, 0, 1.0, 0.0)
        spans_L2 = np.array(encoding.offsets[:length], np.int64)
        characters_L = np.clip(spans_L2[:, 1] - spans_L2[:, 0], 0, _LONGEST_WORD)
        unknown_L = ids_L == self._unknown
        words_L = np.array([-1 if word is None else word for word in encoding.word_ids[:length]])
        of_several_L = np.zeros(length, bool)
        same_L = words_L[1:] == words_L[:-1]
        of_several_L[1:] |= same_L
        of_several_L[:-1] |= same_L
        letters = sum(
            text[spans_L2[place, 0]].isalpha()
            for place in np.flatnonzero(of_several_L & (characters_L == 1) & ~unknown_L)
        )
        total = max(1, int(characters_L.sum()))
        return Pieces(
            ids_L,
            text,
            whole,
            int(unknown_L.sum()),
            float(characters_L[unknown_L].sum() / total),
            letters / total,
        )

    @functools.cached_property
    def _unknown(self) -> int:
        """The piece that stands for what is not in the vocabulary; -1 where every byte is."""
        model = json.loads(self._tokenizer.to_str())["model"]
        if model.get("unk_id") is not None:
            return int(model["unk_id"])
        token = model.get("unk_token")
        found = None if token is None else self._tokenizer.token_to_id(token)
        return -1 if found is None else found
