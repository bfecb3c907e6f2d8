"""Where the reasoning of a model ends in its answer.

Chat templates differ in the markers, and many open the reasoning in the prompt, so that only the
closing marker comes back (DeepSeek-R1, QwQ, Qwen3-thinking). So whatever stands before the last
closing marker is reasoning, opened or not. A marker inside a JSON string is what a document or a
model says about markers, and marks nothing."""

import bisect
import re
from collections.abc import Sequence

# Tags of most models, with or without a name space (<seed:think>, <mm:think>).
_TAG = (
    r"(?:\w+:)?(?:think(?:ing)?(?:_process)?|thoughts?(?:_process)?|reason(?:ing)?|reflection"
    r"|analysis|scratch_?pad|inner_(?:monologue|thoughts?)|rationale|deliberation|cot)"
)
_LESS, _MORE = r"(?:<|&lt;)\s*", r"\s*(?:>|&gt;)"
_CLOSING = re.compile(
    rf"{_LESS}/\s*{_TAG}{_MORE}"
    r"|\[BEGIN FINAL RESPONSE\]"  # Apriel
    r"|^Here is my response:"  # Granite
    r"|\[/\s*(?:think|thinking|reasoning)\s*\]"  # Magistral
    r"|◁/think▷"  # Kimi
    # Cohere, OpenThinker, Apertus and kin
    r"|<[|｜](?:/think(?:ing)?|end_(?:of_)?think(?:ing)?|end_(?:of_)?thought|think(?:ing)?_end"
    r"|thought_end|inner_suffix)[|｜]>"
    r"|<unused95>|<channel\|>"  # Gemma
    r"|<\|channel\|>\s*final\b[^{}]{0,80}?<\|message\|>"  # gpt-oss, the harmony format
    r"|assistantfinal(?=[\s`]*(?:json\s*)?(?:\{|\Z))",  # the same without its special tokens
    re.IGNORECASE | re.MULTILINE,
)
_OPENING = re.compile(
    rf"{_LESS}{_TAG}(?:\s+[\w-]+\s*=[^<>]{{0,200}})?{_MORE}"
    r"|^Here is my thought process:"
    r"|\[(?:think|thinking|reasoning)\]"
    r"|◁think▷"
    r"|<[|｜](?:think(?:ing)?|start_(?:of_)?think(?:ing)?|begin_of_think(?:ing)?"
    r"|(?:begin|start)_of_thought|think(?:ing)?_start|thought_start|inner_prefix)[|｜]>"
    r"|<unused94>|<\|channel>"
    r"|<\|channel\|>\s*(?:analysis|commentary)\b",
    re.IGNORECASE | re.MULTILINE,
)


def reasoning_end(text: str, objects: Sequence[tuple[int, int]]) -> tuple[int, int]:
    """(start, end) of what of `text` is no reasoning; `objects`: where complete JSON objects stand,
    in order.

    Markers inside the objects do not count."""
    start, end = 0, len(text)
    for marker in _CLOSING.finditer(text):
        if not _inside(marker.start(), objects):
            start = marker.end()
    for marker in _OPENING.finditer(text, start):
        if not _inside(marker.start(), objects):
            end = marker.start()  # reasoning that never ended
            break
    return start, end


def _inside(place: int, objects: Sequence[tuple[int, int]]) -> bool:
    before = bisect.bisect_right(objects, place, key=lambda span: span[0]) - 1
    return before >= 0 and place < objects[before][1]
