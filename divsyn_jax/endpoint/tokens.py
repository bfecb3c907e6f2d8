"""How many tokens a text has, without the model's tokenizer: a range, never one number."""

from dataclasses import dataclass

# Bytes of UTF-8 a token of today's vocabularies (32k to 256k entries) holds: about 4.5 in English prose, 3 to 4 in
# other languages, 2.5 to 3 in code and digits.
MOST_BYTES_PER_TOKEN = 6.0
LEAST_BYTES_PER_TOKEN = 2.5
TOKENS_PER_MESSAGE = 8  # role and delimiters of the chat template, at most


@dataclass(frozen=True)
class TokenRange:
    """Between `low` and `high` tokens."""

    low: int
    high: int

    def __add__(self, other: "TokenRange") -> "TokenRange":
        return TokenRange(self.low + other.low, self.high + other.high)

    def __mul__(self, count: int) -> "TokenRange":
        return TokenRange(self.low * count, self.high * count)


def estimate(*texts: str) -> TokenRange:
    """The range for messages of prose or code; base64 and the like may exceed it."""
    low = high = 0
    for text in texts:
        parts = text.split()
        low += max(len(parts), int(_bytes("".join(parts)) / MOST_BYTES_PER_TOKEN))
        high += int(_bytes(text) / LEAST_BYTES_PER_TOKEN) + TOKENS_PER_MESSAGE
    return TokenRange(low, max(low, high))


def words(text: str) -> int:
    """Runs of non-space: no tokenizer in use joins two of them, so a prompt has at least as many tokens."""
    return len(text.split())


def _bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))
