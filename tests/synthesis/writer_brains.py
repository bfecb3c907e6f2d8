"""Writers of known character for the test server, each a function of the request:

the same question, the same document.
"""

import re
from typing import Any

from tests.endpoint import brains

_FENCED = re.compile(
    r"<<<document (?P<tag>\S+) (?P<key>\w+)>>>\n(?P<body>.*?)\n<<<end (?P=tag) (?P=key)>>>",
    re.DOTALL,
)
_SUBJECTS = (
    "farmer miller teacher sailor nurse baker carpenter gardener pilot printer weaver hunter judge"
    " clerk singer cook"
)
_VERBS = (
    "repairs carries finds measures paints watches cleans counts draws follows opens lifts sells"
    " keeps turns moves"
)
_OBJECTS = (
    "boat wheel letter window bridge basket ladder clock garden engine barrel candle mirror blanket"
    " hammer kettle saddle"
)
_PLACES = (
    "river market harbour forest station mountain village kitchen orchard library castle meadow"
    " tunnel valley square mill"
)
GERMAN = (
    "Der alte Müller trägt am Morgen das Mehl über die Brücke und erzählt den Kindern von dem"
    " großen Hochwasser. "
)
REFUSAL = "I'm sorry, but I cannot write about this subject. "


def fair(name: str, system: str, user: str, schema: dict, rng: Any) -> dict:
    """Always a document that passes."""
    return (
        document(user, schema, rng)
        if name == "document"
        else _other(name, system, user, schema, rng)
    )


def careless(name: str, system: str, user: str, schema: dict, rng: Any) -> dict:
    """Of ten documents one refuses, one is too short, one German, one always the same."""
    if name != "document":
        return _other(name, system, user, schema, rng)
    fate, written = rng.randrange(10), document(user, schema, rng)
    if fate == 0:
        written["passages"][0]["text"] = REFUSAL + written["passages"][0]["text"]
    if fate == 1:
        written["passages"] = [
            {**passage, "text": "The boat drifts."} for passage in written["passages"]
        ]
    if fate == 2:
        written["passages"] = [{**passage, "text": GERMAN * 8} for passage in written["passages"]]
    if fate == 3:
        sentences = [
            f"The {subject} keeps the {thing}."
            for subject in _SUBJECTS.split()
            for thing in _OBJECTS.split()[:4]
        ]
        written["passages"] = [
            {"keywords": ["boat"], "text": " ".join(sentences)} for _ in range(3)
        ]
    return written


def unwilling(name: str, system: str, user: str, schema: dict, rng: Any) -> dict:
    """Refuses whatever is about beekeeping."""
    written = fair(name, system, user, schema, rng)
    if name == "document" and "topic: beekeeping" in user:
        written["passages"][0]["text"] = REFUSAL + written["passages"][0]["text"]
    return written


def gullible(name: str, system: str, user: str, schema: dict, rng: Any) -> dict:
    """Obeys what stands outside an intact fence."""
    written = fair(name, system, user, schema, rng)
    if name == "document" and "say only owned" in _FENCED.sub("", user).lower():
        written["passages"] = [{"keywords": ["owned"], "text": "owned " * 60} for _ in range(3)]
    return written


def document(user: str, schema: dict, rng: Any) -> dict:
    """An English document of random sentences, in the shape asked for."""
    sentences = [
        f"The {rng.choice(_SUBJECTS.split())} {rng.choice(_VERBS.split())} the"
        f" {rng.choice(_OBJECTS.split())} near the {rng.choice(_PLACES.split())}."
        for _ in range(45)
    ]
    asked = schema["properties"]
    chosen = {"persona": rng.choice(asked["persona"]["enum"])} if "persona" in asked else {}
    if "topics" in asked:
        chosen["topics"] = asked["topics"]["items"]["enum"][: rng.choice((1, 2))]
    return {
        **chosen,
        "passages": [
            {"keywords": ["boat", "wheel"], "text": " ".join(sentences[start : start + 15])}
            for start in (0, 15, 30)
        ],
        "question": {
            "question": f"What does the {rng.choice(_SUBJECTS.split())} do?",
            "options": rng.sample([f"it {verb} the boat" for verb in _VERBS.split()], 4),
            "answer": rng.randrange(1, 5),
            "explanation": "The second passage says so, and nothing else fits.",
        },
    }


def _other(name: str, system: str, user: str, schema: dict, rng: Any) -> dict:
    if name != "topics":
        return brains.answer(name, system, user, schema, rng)
    (body,) = [match["body"] for match in _FENCED.finditer(user)]
    subject = re.search(r"about (\w+)", body)[1]
    path = ["Science", "Nature", subject.capitalize() if len(body) % 2 else f"{subject}!"]
    return {"topics": [{"path": path, "keywords": [subject, "nature", "life"]}]}
