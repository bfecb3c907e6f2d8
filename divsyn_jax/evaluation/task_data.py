"""Evaluation items from local files: `DIR/<task>.jsonl` (or .jsonl.gz, .jsonl.zst), one item a
line.

An item holds the fields of the task in lm-evaluation-harness (those of its data on the hub), or,
for multiple choice, the simple form

    {"text": TEXT, "choices": [TEXT, ...], "label": INDEX FROM 0}

text is, by task: the question (arc_easy, arc_challenge, openbookqa), the goal (piqa), the sentence
with the blank as `_` (winogrande), context and question in one (social_iqa), `activity: context`
(hellaswag), the question with the field `passage` beside it (boolq; the choices are no, yes) and
the premise with `question` (`cause` or `effect`) beside it (copa). Other fields
are passed on. Two tasks exist as local files alone: `items`, any questions in the simple form,
asked as those of ARC are and counted by acc_norm; and `blimp`, whose items hold sentence_good and
sentence_bad, all of its paradigms in one file.

The prompt is the harness's own in every case: the simple form is turned into the fields that it
reads."""

import pathlib
import re
import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import zstandard

from divsyn_jax.base import json_text
from divsyn_jax.base.commandline import UserError
from divsyn_jax.data.readers.corpus import jsonl_records
from divsyn_jax.data.readers.lines import TooLong

Item = dict[str, Any]
SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")


def find_items(folder: pathlib.Path, task: str) -> pathlib.Path:
    """The file of a task. Raises `UserError` when there is none."""
    for suffix in SUFFIXES:
        if (folder / f"{task}{suffix}").is_file():
            return folder / f"{task}{suffix}"
    raise UserError(
        f"{folder}: no {task}.jsonl (or .gz, .zst) here; add it or leave {task} out of --tasks"
    )


def read(path: pathlib.Path, task: str) -> list[Item]:
    """The items of a file as the harness reads them.

    Raises `UserError` naming the line that is wrong.
    """
    items = []
    for where, line in _lines(path):
        try:
            if isinstance(line, TooLong):
                raise _Unusable("a line longer than any item")
            item = json_text.parse_json(line)
            if not isinstance(item, dict):
                raise _Unusable(f"a JSON object is expected, not {type(item).__name__}")
            items.append(_in_harness_form(item, task))
        except (
            ValueError,
            _Unusable,
        ) as error:  # an item left out would be another evaluation: no line may be wrong
            raise UserError(f"{where}: {error}") from None
    if not items:
        raise UserError(f"{path}: no items; give the items of {task}, one JSON object a line")
    return items


def raw_items(path: pathlib.Path) -> Iterator[Item]:
    """The items of a file as they stand in it. Raises `UserError` naming the line that is wrong."""
    for where, line in _lines(path):
        if isinstance(line, TooLong):
            raise UserError(f"{where}: a line longer than any item")
        try:
            item = json_text.parse_json(line)
        except ValueError as error:
            raise UserError(f"{where}: {error}") from None
        yield item


def _lines(path: pathlib.Path) -> Iterator[tuple[str, bytes | TooLong]]:
    try:
        yield from jsonl_records(str(path))
    except (EOFError, zlib.error, zstandard.ZstdError, OSError) as error:
        raise UserError(
            f"{path}: cannot be read to its end ({error}); the file is truncated or damaged"
        ) from None


class _Unusable(Exception):
    """An item lacks something; the message says what."""


def _in_harness_form(item: Item, task: str) -> Item:
    if task not in _SIMPLE or not {"text", "choices", "label"} <= set(item):
        return item
    choices, label = item["choices"], item["label"]
    if (
        not isinstance(choices, list)
        or not all(isinstance(choice, str) for choice in choices)
        or len(choices) < 2
    ):
        raise _Unusable("'choices' must be a list of at least two texts")
    if isinstance(label, bool) or not isinstance(label, int) or not 0 <= label < len(choices):
        raise _Unusable(f"'label' must be an index into the {len(choices)} choices, not {label!r}")
    if not isinstance(item["text"], str):
        raise _Unusable("'text' must be a text")
    wanted = {"winogrande": 2, "piqa": 2, "copa": 2, "boolq": 2, "social_iqa": 3}.get(
        task, len(choices)
    )
    if len(choices) != wanted:
        raise _Unusable(f"{task} has {wanted} choices, not {len(choices)}")
    rest = {key: value for key, value in item.items() if key not in ("text", "choices", "label")}
    return {**rest, **_SIMPLE[task](item["text"], choices, label, item)}


def _arc(text: str, choices: list[str], label: int, _: Mapping) -> Item:
    letters = [chr(ord("A") + index) for index in range(len(choices))]
    return {
        "question": text,
        "choices": {"text": choices, "label": letters},
        "answerKey": letters[label],
    }


def _openbookqa(text: str, choices: list[str], label: int, item: Mapping) -> Item:
    arc = _arc(text, choices, label, item)
    return {"question_stem": arc.pop("question"), **arc}


def _winogrande(text: str, choices: list[str], label: int, _: Mapping) -> Item:
    if text.count("_") != 1:
        raise _Unusable("'text' must hold the blank, _, once")
    return {
        "sentence": text,
        "option1": choices[0],
        "option2": choices[1],
        "answer": str(label + 1),
    }


def _piqa(text: str, choices: list[str], label: int, _: Mapping) -> Item:
    return {"goal": text, "sol1": choices[0], "sol2": choices[1], "label": label}


def _social_iqa(text: str, choices: list[str], label: int, _: Mapping) -> Item:
    context, question = text.rpartition(" ")[::2]  # the prompt joins the two with a space
    answers = dict(zip(("answerA", "answerB", "answerC"), choices, strict=True))
    return {"context": context, "question": question, **answers, "label": str(label + 1)}


def _boolq(text: str, choices: list[str], label: int, item: Mapping) -> Item:
    if "passage" not in item:
        raise _Unusable("boolq needs the field 'passage': its questions are about one")
    return {
        "passage": item["passage"],
        "question": text.removesuffix("?"),
        "label": label,
    }  # the prompt has the mark


def _copa(text: str, choices: list[str], label: int, item: Mapping) -> Item:
    if item.get("question") not in ("cause", "effect"):
        raise _Unusable("copa needs the field 'question': cause or effect")
    return {
        "premise": text,
        "choice1": choices[0],
        "choice2": choices[1],
        "question": item["question"],
        "label": label,
    }


def _hellaswag(text: str, choices: list[str], label: int, _: Mapping) -> Item:
    activity, separator, context = text.partition(": ")
    if not separator:
        raise _Unusable("'text' must read 'activity: context'")
    # The harness capitalises what the ending continues, a last fragment that begins in lower case.
    begun = re.search(r"(?<=[.!?] )[a-z][^.!?]*$", context)
    first, last = (context[: begun.start() - 1], begun.group()) if begun else (context, "")
    return {
        "activity_label": activity,
        "ctx_a": first,
        "ctx_b": last,
        "endings": choices,
        "label": str(label),
    }


_SIMPLE: dict[str, Callable[[str, list[str], int, Mapping], Item]] = {
    "items": _arc,
    "arc_easy": _arc,
    "arc_challenge": _arc,
    "openbookqa": _openbookqa,
    "winogrande": _winogrande,
    "piqa": _piqa,
    "social_iqa": _social_iqa,
    "boolq": _boolq,
    "copa": _copa,
    "hellaswag": _hellaswag,
}
