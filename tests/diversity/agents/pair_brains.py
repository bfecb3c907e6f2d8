"""What the test server answers about pairs: two documents are of one kind when they state one
subject.
"""

import re
from typing import Any

_FENCED = re.compile(
    r"<<<document (?P<tag>\S+) (?P<key>\w+)>>>\n(?P<body>.*?)\n<<<end (?P=tag) (?P=key)>>>",
    re.DOTALL,
)


def identity(name: str, system: str, user: str) -> str:
    """One set of documents is one question."""
    return name + "".join(sorted(match["body"] for match in _FENCED.finditer(user)))


def honest(name: str, system: str, user: str, schema: dict, rng: Any) -> dict:
    """One kind: the same digit, or, where a word is missing, most words."""
    bodies = {match["tag"]: match["body"] for match in _FENCED.finditer(user)}
    found = {}
    for key, one, two in re.findall(r"^- (pair_\d+): (\S+) and (\S+)$", user, re.MULTILINE):
        found[key] = {"reason": "its subject", "same": int(_alike(bodies[one], bodies[two]))}
    return found


def always(name: str, system: str, user: str, schema: dict, rng: Any) -> dict:
    """Says yes."""
    return {key: {"reason": "why not", "same": 1} for key in schema["properties"]}


def refusing(name: str, system: str, user: str, schema: dict, rng: Any) -> dict:
    """No usable answer where a document is about subject 0."""
    return {} if "subject 0" in user else honest(name, system, user, schema, rng)


def _alike(one: str, two: str) -> bool:
    subjects = [re.search(r"subject (\d+)", body) for body in (one, two)]
    if all(subjects):
        return subjects[0][1] == subjects[1][1]
    words = [set(body.split()) for body in (one, two)]
    return len(words[0] & words[1]) >= min(map(len, words)) / 2
