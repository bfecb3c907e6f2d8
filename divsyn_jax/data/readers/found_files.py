"""Which files a path, directory, pattern or URL stands for, of what form each is, and what a
directory holds beside its documents.

In a directory these are no documents and are left out by name: hidden files and folders; links to
folders, to nothing and to files that are read already; what is no file (pipes, devices); dataset
cards, licences and other papers about the data (README, LICENSE, CITATION ...); what programs note
beside data (dataset_info.json, state.json, _SUCCESS ...); Markdown, and a JSON file that is one
object, beside files of records; files that the state of a saved dataset does not name; files of an
unknown form; what NeMo Data Designer and datatrove keep beside the data they made (columns dropped,
partial results, logs and statistics). A file without a suffix (part-00000) is known by its first
bytes.
"""

import collections
import dataclasses
import functools
import glob
import json
import os
import re
import stat
import sys
import types
from collections.abc import Collection, Mapping, Sequence
from typing import Literal

from divsyn_jax.base import remote, terminal_text
from divsyn_jax.base.errors import UserError
from divsyn_jax.data.readers.forms.json_records import is_spread_out
from divsyn_jax.data.readers.mistaken_files import PACKINGS
from divsyn_jax.data.readers.packed_streams import DAMAGES, PACKED, open_unpacked

Form = Literal["jsonl", "text", "delimited", "parquet", "arrow"]
_SUFFIXES: dict[str, Form] = {
    **dict.fromkeys((".jsonl", ".ndjson", ".json"), "jsonl"),
    **dict.fromkeys((".txt", ".md", ".text"), "text"),
    **dict.fromkeys((".csv", ".tsv"), "delimited"),
    ".parquet": "parquet",
    **dict.fromkeys((".arrow", ".feather", ".ipc"), "arrow"),
}
_PACKABLE: tuple[Form, ...] = ("jsonl", "text", "delimited")
KNOWN = (
    ".jsonl, .json, .csv, .tsv, .parquet, .arrow, .feather or .txt (text formats also .gz, .zst,"
    " .bz2 or .xz)"
)
_PAPERS = re.compile(
    r"(readme\d*|(un)?licen[sc]es?|copying|copyright|notices?|third[-_ ]?party\w*|citation"
    r"|changelog|contributing|contributors|code_of_conduct|(data|dataset|model)[-_ ]?card"
    r"|datasheet|authors|(md5|sha\d+)sums|checksums)(\W|_|$)"
    # Of which licence, of what: MIT-LICENSE.txt, corpus_README.txt.
    r"|.*[\W_](readme|licen[sc]e)(\.\w+)?$",
    re.IGNORECASE,
)
_NOTES = {
    *("manifest.json", "score.json", "dataset_info.json", "dataset_infos.json", "state.json"),
    *("dataset_dict.json", "metadata.json", "croissant.json", "config.json", "curation.json"),
    *("builder_config.json", "column_configs.json", "model_configs.json", "sdg.json"),
    *("clusters.jsonl",),
    *("_SUCCESS", "_metadata", "_common_metadata", "package.json", "requirements.txt"),
}
_NOTE_FOLDERS = {"_temporary", "_delta_log", "__pycache__", "__MACOSX"}
# Of NeMo Data Designer, beside the folder parquet-files that holds the data.
_DESIGNER_FOLDERS = {
    *("dropped-columns-parquet-files", "tmp-partial-parquet-files", "processors-files"),
}
_PAPER_FOLDERS = {"licenses", "licences"}
# Of datatrove, in the folder of a run, which holds executor.json.
_RUN_MARK, _RUN_NOTES = "executor.json", {"completions", "logs", "stats", "stats.json"}
# Of a score, in the folder that holds score.json.
_SCORE_MARK, _SCORE_NOTES = "score.json", {"draws.jsonl", "groups.jsonl", "map.jsonl"}
_NAMED = 5  # files of one kind that a line names


@dataclasses.dataclass(frozen=True)
class CorpusFile:
    """A file that holds documents.

    Attributes:
      path: its path or URL.
      form: how it is read.
      packing: the suffix of what packs it, where its name does not say so.
    """

    path: str
    form: Form
    packing: str | None = None


@dataclasses.dataclass(frozen=True)
class FoundFiles:
    """What a corpus's path stands for.

    Attributes:
      files: those to read, sorted by path.
      left_out: what a directory holds beside them, a line for each reason.
      remarks: what is read and may be a mistake, a line each.
    """

    files: list[CorpusFile]
    left_out: list[str]
    remarks: list[str]


def corpus_files(spec: str) -> list[str]:
    """The files of a path, directory or glob, sorted.

    Raises `UserError` when there are none, a format is unknown, or a name is not UTF-8 and so can
    stand in no result.
    """
    return [file.path for file in find_files(spec).files]


def find_files(spec: str) -> FoundFiles:
    """The files of a path, directory, glob or URL. Raises `UserError`; see `corpus_files`."""
    if not spec:
        raise UserError("an empty name among the corpora; name a file, directory or glob")
    if remote.is_remote(spec):
        return _remote(spec)
    if os.path.isdir(spec):
        names, left_out = _walked(spec)
        return _of_directory(spec, names, os.sep, left_out)
    if os.path.exists(spec):
        found = [spec]
    elif glob.has_magic(spec):
        found = sorted(glob.glob(spec, recursive=True))
        if "**" in spec:  # matches every folder on the way, too
            found = [path for path in found if not os.path.isdir(path)]
        if not found:
            raise UserError(f"{spec}: no file matches this pattern")
    else:
        raise UserError(f"{spec}: no such file or directory")
    files = []
    for path in found:
        _check_name(path)
        _check_regular(path)
        file = _known(path)
        if file is None:
            raise UserError(f"{path}: unknown format; use {KNOWN}")
        files.append(file)
    return FoundFiles(files, [], _twice([file.path for file in files]))


@functools.lru_cache(1024)
def say_once(line: str) -> None:
    """Say a line on standard error, once in a process however often a corpus is read."""
    print(terminal_text.one_line(line), file=sys.stderr)


def _remote(url: str) -> FoundFiles:
    found = remote.find_urls(url)
    if found is None:
        raise UserError(f"{url}: nothing there")
    if found == [url] or any(character in url for character in "*?["):
        files = [file for file in map(_known, found) if file is not None]
        if not files:
            raise UserError(f"{url}: unknown format; use {KNOWN}")
        unknown = [path for path in found if path not in {file.path for file in files}]
        return FoundFiles(files, _lines({"of unknown form": unknown}), [])
    # The next line cuts it back to a whole folder.
    root = os.path.commonprefix([f"{path.rpartition('/')[0]}/" for path in found])  # noqa: RUF071
    root = root[: root.rfind("/") + 1]
    return _of_directory(root.rstrip("/"), [path[len(root) :] for path in found], "/")


def _walked(root: str) -> tuple[list[str], dict[str, list[str]]]:
    """The names of the files below a folder, sorted, and what else it holds, by reason.

    Links to folders are not followed: they may lead round in circles, or out of the corpus.
    """
    names, left_out = [], collections.defaultdict(list)
    seen: set[tuple[int, int]] = set()

    def unreadable(error: OSError) -> None:
        raise UserError(f"{error.filename}: cannot be read ({error.strerror})") from None

    for folder, folders, files in os.walk(root, onerror=unreadable):
        folders.sort()
        links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
        for name in (*links, *sorted(files)):
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, root)
            try:
                info = os.stat(path)
            except OSError:
                left_out["links to nothing"].append(relative)
                continue
            # A hub's cache links to its blobs, which are files of the same folder.
            if stat.S_ISDIR(info.st_mode):
                left_out["links to folders, not followed (name them as corpora)"].append(relative)
            elif not stat.S_ISREG(info.st_mode):
                left_out["no files"].append(relative)
            elif (info.st_dev, info.st_ino) in seen:
                left_out["links to files that are read already"].append(relative)
            else:
                names.append(relative)
                if _reason(relative.split(os.sep)) is None and _known(path) is not None:
                    seen.add((info.st_dev, info.st_ino))
    return sorted(names), {reason: sorted(found) for reason, found in left_out.items()}


def _check_regular(path: str) -> None:
    """Raise `UserError` for a folder or broken link that a pattern matches, and for a pipe or
    device."""
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if stat.S_ISDIR(mode):
        raise UserError(f"{path}: is a folder; give it as a corpus, or the files in it")
    if not stat.S_ISREG(mode):
        raise UserError(
            f"{path}: is a pipe or a device, and a corpus is read more than once; save it to a file"
        )


def _of_directory(
    root: str,
    names: Sequence[str],
    separator: str,
    also_left_out: Mapping[str, list[str]] = types.MappingProxyType({}),
) -> FoundFiles:
    left_out: dict[str, list[str]] = collections.defaultdict(list, also_left_out)
    files: dict[str, CorpusFile] = {}
    runs, scores = (
        {tuple(name.split(separator)[:-1]) for name in names if name.split(separator)[-1] == mark}
        for mark in (_RUN_MARK, _SCORE_MARK)
    )
    for name in names:
        path = f"{root.rstrip(separator)}{separator}{name}"
        reason = _reason(name.split(separator), runs, scores)
        if reason is None:
            _check_name(path)
            file = _known(path)
            if file is not None:
                files[name] = file
                continue
            reason = "of unknown form"
        left_out[reason].append(name)
    states = {
        os.path.dirname(name): _data_files(root, name)
        for name in names
        if os.path.basename(name) == "state.json" and not remote.is_remote(root)
    }
    has_records = any(
        file.form != "text" and not _is_plain_json(name) for name, file in files.items()
    )
    for name, file in list(files.items()):
        saved = states.get(os.path.dirname(name))
        if saved is not None and file.form == "arrow" and os.path.basename(name) not in saved:
            reason = "not of the saved dataset (state.json)"
        elif has_records and file.form == "text" and _suffix(name) == ".md":
            reason = "Markdown beside files of records"
        elif has_records and _is_plain_json(name) and _is_one_object(file):
            reason = "one object of JSON beside files of records"
        else:
            continue
        left_out[reason].append(name)
        del files[name]
    lines = _lines(left_out)
    if not files:
        beside = f" ({'; '.join(lines)})" if lines else ""
        raise UserError(
            f"{root}: no .jsonl, .parquet or text files in this directory, nor others that can be"
            f" read{beside}"
        )
    remarks = _twice(list(files))
    texts = [name for name, file in files.items() if file.form == "text"]
    if has_records and texts:
        remarks.append(f"read as documents beside files of records: {_some(texts)}")
    return FoundFiles(list(files.values()), lines, remarks)


def _reason(
    parts: Sequence[str],
    runs: Collection[tuple[str, ...]] = (),
    scores: Collection[tuple[str, ...]] = (),
) -> str | None:
    """Why a file is left out by its name alone; `runs`: the folders of datatrove's runs, `scores`:
    those of scores.
    """
    *folders, name = parts
    if any(part.startswith(".") for part in parts):
        return "hidden"
    if _PAPERS.match(name) and _suffix(name) not in (".jsonl", ".ndjson", ".parquet", ".arrow"):
        return "about the data"
    if any(folder.casefold() in _PAPER_FOLDERS for folder in folders):
        return "about the data"
    if any(folder in _DESIGNER_FOLDERS for folder in folders):
        return "kept apart by Data Designer"
    of_run = any(
        tuple(parts[:depth]) in runs and parts[depth] in (*_RUN_NOTES, _RUN_MARK)
        for depth in range(len(parts))
    )
    of_run = of_run or (name in _SCORE_NOTES and tuple(folders) in scores)
    is_note = of_run or name in _NOTES or any(folder in _NOTE_FOLDERS for folder in folders)
    return "notes of programs" if is_note or name.startswith(("_committed_", "_started_")) else None


def _known(path: str) -> CorpusFile | None:
    """The file with its form; None for an unknown one."""
    lower = path.lower()
    packing = next((suffix for suffix in PACKED if lower.endswith(suffix)), "")
    stem = lower.removesuffix(packing)
    form = next((kind for suffix, kind in _SUFFIXES.items() if stem.endswith(suffix)), None)
    if form is not None:
        return CorpusFile(path, form) if not packing or form in _PACKABLE else None
    # A part of a job's output: part-00000, part-00000.gz, x.00.
    suffix = re.search(r"\.([^./\\]*)$", stem)
    return _sniffed(path) if suffix is None or suffix[1].isdecimal() else None


def _sniffed(path: str) -> CorpusFile | None:
    """The form of a file by its first bytes, when those of records."""
    try:
        with remote.open_file(path) if remote.is_remote(path) else open(path, "rb") as file:
            head = file.read(8)
        packing = next((name for magic, name in PACKINGS.items() if head.startswith(magic)), None)
        if packing is not None:
            with open_unpacked(path, packing) as stream:
                head = stream.read(1 << 12)
        else:
            with open_unpacked(path, "") as stream:
                head = stream.read(1 << 12)
    except DAMAGES:
        return None
    if packing is None and head.startswith(b"PAR1"):
        return CorpusFile(path, "parquet")
    if packing is None and head.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return CorpusFile(path, "arrow")
    first = head.removeprefix(b"\xef\xbb\xbf").lstrip(b" \t\r\n\0\x1e")[:1]
    return CorpusFile(path, "jsonl", packing or "") if first in (b"{", b"[") else None


def _suffix(name: str) -> str:
    lower = name.lower()
    packing = next((suffix for suffix in PACKED if lower.endswith(suffix)), "")
    return os.path.splitext(lower.removesuffix(packing))[1]


def _is_plain_json(name: str) -> bool:
    return _suffix(name) == ".json"


def _is_one_object(file: CorpusFile) -> bool:
    """Whether a .json file is an object over many lines, and so no file of records."""
    try:
        with open_unpacked(file.path) as stream:
            head = stream.read(1 << 10).removeprefix(b"\xef\xbb\xbf").lstrip()
        return head[:1] == b"{" and is_spread_out(file.path)
    except DAMAGES:
        return False  # reading it names the damage


def _data_files(root: str, name: str) -> set[str] | None:
    """The files that the state of a saved dataset names; None where it names none."""
    try:
        with open(os.path.join(root, name), "rb") as file:
            state = json.loads(file.read(1 << 20))
        return {str(item["filename"]) for item in state["_data_files"]} or None
    except (OSError, ValueError, RecursionError, KeyError, TypeError):
        return None


def _check_name(path: str) -> None:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        raise UserError(f"{path!a}: its name is not UTF-8; rename it") from None


def _twice(names: Sequence[str]) -> list[str]:
    """Files that differ in form or packing alone: the same data, by their names."""
    groups = collections.defaultdict(list)
    for name in names:
        lower = name.lower()
        packing = next((suffix for suffix in PACKED if lower.endswith(suffix)), "")
        stem = name[: len(name) - len(packing)]
        groups[os.path.splitext(stem)[0] if _suffix(name) in _SUFFIXES else stem].append(name)
    return [
        f"the same data twice? {_some(group)} are all read; give one of them"
        for group in groups.values()
        if len(group) > 1
    ]


def _lines(left_out: "dict[str, list[str]]") -> list[str]:
    return [f"{reason}: {_some(names)}" for reason, names in sorted(left_out.items()) if names]


def _some(names: Sequence[str]) -> str:
    # A name may hold bytes that are no UTF-8, and the line stands in files.
    shown = [name.encode("utf-8", "replace").decode() for name in names[:_NAMED]]
    more = len(names) - _NAMED
    return ", ".join(shown) + (f" and {more:,} more" if more > 0 else "")
