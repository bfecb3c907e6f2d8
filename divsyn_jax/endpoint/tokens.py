"""How many tokens a text has, without the model's tokenizer: a range, never one number."""

import string
from dataclasses import dataclass

# cl100k_base and o200k_base put 3.9 to 5.5 bytes of English prose or code into a token and 1.16
# tokens or more into a word; digits take 2 bytes a token, Chinese and Hindi 2.5 to 11 (one to four
# characters).
MOST_CHARACTERS_PER_TOKEN = 6.0
LEAST_LETTERS_PER_TOKEN = 3.5
LEAST_OTHER_BYTES_PER_TOKEN = 1.9
TOKENS_PER_MESSAGE = 8  # role and delimiters of the chat template, at most
_LETTERS = dict.fromkeys(map(ord, f"{string.ascii_letters} "))


@dataclass(frozen=True)
class TokenRange:
    """Between `low` and `high` tokens."""

    low: int
    high: int

    def __add__(self, other: "TokenRange") -> "TokenRange":
        return TokenRange(self.low + other.low, self.high + other.high)

    def __mul__(self, count: int) -> "TokenRange":
        return TokenRange(self.low * count, self.high * count)


def estimate_tokens(*texts: str) -> TokenRange:
    """The range for messages of prose or code; base64 and the like, and vocabularies below 100k
    entries, may exceed it.
    """
    low = high = 0
    for text in texts:
        parts = text.split()
        low += max(len(parts), int(sum(map(len, parts)) / MOST_CHARACTERS_PER_TOKEN))
        other = text.translate(_LETTERS)
        letters = (len(text) - len(other)) / LEAST_LETTERS_PER_TOKEN
        high += int(
            letters + len(other.encode("utf-8", "surrogatepass")) / LEAST_OTHER_BYTES_PER_TOKEN
        )
        high += 1 + TOKENS_PER_MESSAGE
    return TokenRange(low, max(low, high))


def least_tokens(text: str) -> int:
    """Runs of non-space:

    no tokenizer in use joins two of them, so a prompt has at least as many tokens.
    """
    return len(text.split())
