"""Writing a corpus of the built-in grammar: documents and a manifest of how they came to be."""

import dataclasses
import io
import json
import os
from typing import Any

import zstandard

from divsyn_jax import files
from divsyn_jax.commandline import UserError
from divsyn_jax.data.corpus import TextFingerprint
from divsyn_jax.synthesis import grammar
from divsyn_jax.synthesis.grammar import Breadth
from divsyn_jax.synthesis.sentences import words


def generate_corpus(breadth: Breadth, documents: int, seed: int, output: str | os.PathLike) -> dict[str, Any]:
    """Write the corpus folder `output` and return its manifest; raises `UserError` unless at least one document is asked for."""
    if documents < 1:
        raise UserError(f"--documents={documents}: give at least 1")
    fingerprint = TextFingerprint()
    total_words = 0
    with files.new_directory(output) as folder:
        with (
            open(folder / "documents.jsonl.zst", "wb") as raw,
            zstandard.ZstdCompressor(level=9).stream_writer(raw) as compressed,
            io.TextIOWrapper(compressed, encoding="utf-8", newline="\n") as lines,
        ):
            for document in grammar.generate(breadth, documents, seed):
                lines.write(json.dumps(document, ensure_ascii=False) + "\n")
                fingerprint.update(document["text"])
                total_words += words(document["text"])
        manifest = {
            "generator": "grammar",
            "breadth": dataclasses.asdict(breadth),
            "seed": seed,
            "documents": documents,
            "words": total_words,
            "fingerprint": fingerprint.hexdigest(),
        }
        files.write_json(folder / "manifest.json", manifest)
    return manifest
