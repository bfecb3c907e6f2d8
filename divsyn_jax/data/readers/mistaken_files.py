"""What is given for a file of text and is none, by its first bytes.

Lines of an archive's members read like lines of its own, so that a tar of JSONL would lose its
first record and nothing else; of UTF-16 every line is broken and none says why."""

from divsyn_jax.base.errors import UserError

_UNPACK = "unpack it and give what is in it"
_RENAME = "give its name the suffix of its form"
# What packed files begin with, and their suffix.
PACKINGS = {
    b"\x1f\x8b\x08": ".gz",
    b"\x28\xb5\x2f\xfd": ".zst",
    b"BZh": ".bz2",
    b"\xfd7zXZ\0": ".xz",
}
_PACKERS = {".gz": "gzip", ".zst": "Zstandard", ".bz2": "bzip2", ".xz": "xz"}
# (first bytes, where they stand, what they are of, remedy)
_MAGIC = (
    (b"ustar", 257, "a tar archive", _UNPACK),
    (b"PK\x03\x04", 0, "a zip archive (or a table of a spreadsheet)", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", 0, "a 7z archive", _UNPACK),
    (b"Rar!\x1a\x07", 0, "a rar archive", _UNPACK),
    *(
        (magic, 0, f"packed by {_PACKERS[suffix]}", f"{_RENAME} ({suffix}), or unpack it")
        for magic, suffix in PACKINGS.items()
    ),
    (b"\x04\x22\x4d\x18", 0, "packed by lz4", "unpack it"),
    (b"PAR1", 0, "a Parquet file", f"{_RENAME} (.parquet)"),
    (b"ARROW1", 0, "an Arrow file", f"{_RENAME} (.arrow)"),
    (b"SQLite format 3\x00", 0, "a SQLite database", "write its table to a CSV file"),
    (b"%PDF-", 0, "a PDF file", "extract its text"),
    (b"\xd0\xcf\x11\xe0", 0, "a document of an office program", "save it as text"),
)
_BLOCK = b"1AY&SY"  # opens the first block of bzip2, where a text could begin with BZh
_UTF_32, _UTF_16 = (b"\xff\xfe\x00\x00", b"\x00\x00\xfe\xff"), (b"\xff\xfe", b"\xfe\xff")


def check_text(path: str, head: bytes) -> None:
    """Raise `UserError` when a file that begins with `head` is no text in UTF-8."""
    for magic, place, kind, remedy in _MAGIC:
        if head[place : place + len(magic)] != magic:
            continue
        if magic == b"BZh" and head[4 : 4 + len(_BLOCK)] != _BLOCK:
            continue
        raise UserError(f"{path}: is not text but {kind}; {remedy}")
    if (encoding := _wide_encoding(head)) is not None:
        raise UserError(f"{path}: not UTF-8 but {encoding}; convert the file to UTF-8")


def _wide_encoding(head: bytes) -> str | None:
    """UTF-16 or UTF-32, by its mark or, of mostly Latin text, by where its zero bytes stand."""
    if head.startswith(_UTF_32):
        return "UTF-32"
    if head.startswith(_UTF_16):
        return "UTF-16"
    pairs = len(head) // 2
    zeros = [head[first : 2 * pairs : 2].count(0) for first in (0, 1)]
    # Zeros that pad a copied file stand in both places.
    is_wide = pairs >= 2 and max(zeros) >= 0.4 * pairs and min(zeros) <= 0.05 * pairs
    return "UTF-16" if is_wide else None
