"""Answers to evaluation requests on disk, so that an interrupted evaluation goes on where it
stopped.
"""

import hashlib
import json
import pathlib
from collections.abc import Sequence
from typing import Any

from divsyn_jax.base import json_text, owned_folders
from divsyn_jax.base.commandline import UserError


class RequestCache:
    """An append-only JSONL file of one model's answers; half a line, left by a kill, is ignored.

    Raises `UserError` for a file that holds anything else.

    The file belongs to one checkpoint and tokenizer: its name must say which.
    """

    def __init__(self, path: pathlib.Path) -> None:
        self._answers: dict[str, Any] = {}
        whole = 0
        if path.is_file():
            with open(path, "rb") as file:
                for number, line in enumerate(file, 1):
                    if not line.endswith(b"\n"):
                        break
                    try:
                        entry = json_text.parse_json(line)
                        self._answers[entry["request"]] = entry["answer"]
                    except (ValueError, KeyError, TypeError):
                        raise UserError(
                            f"{path}:{number}: not an answer of an evaluation; remove the file"
                        ) from None
                    whole += len(line)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = owned_folders.open_kept(path, "ab")
        self._file.truncate(whole)

    def get(self, request: str) -> Any | None:
        """The answer to the request of this key, or None."""
        return self._answers.get(request)

    def put(self, answers: dict[str, Any]) -> None:
        """Keep the answers of one batch."""
        self._answers.update(answers)
        lines = (
            json.dumps({"request": key, "answer": answer}) + "\n" for key, answer in answers.items()
        )
        self._file.write("".join(lines).encode())
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def request_key(kind: str, *parts: Sequence[int] | dict[str, Any]) -> str:
    """The key of a request: a hash of its kind, its token ids and its settings."""
    return hashlib.sha256(json.dumps([kind, *parts], sort_keys=True).encode()).hexdigest()[:32]
