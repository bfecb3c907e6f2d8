"""Writers of known character for the test server, each a function of the request:

the same question, the same document.
"""

import random
import re
import threading
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
            {"keywords": ["boat"], "text": " ".join(sentences[start::3])} for start in range(3)
        ]
    return written


def unwilling(name: str, system: str, user: str, schema: dict, rng: Any) -> dict:
    """Refuses whatever is about beekeeping."""
    written = fair(name, system, user, schema, rng)
    if name == "document" and "topic: beekeeping" in user:
        written["passages"][0]["text"] = REFUSAL + written["passages"][0]["text"]
    return written


def alike(name: str, system: str, user: str, schema: dict, rng: Any) -> dict:
    """Of three documents two are the same."""
    if name == "document" and rng.randrange(3):
        rng = random.Random(0)
    return fair(name, system, user, schema, rng)


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


# What the server calls where no function is named.
answer = fair


def write(system: str, user: str, rng: Any) -> str:
    """Prose where no schema is given: of ten one refuses, one is short, one loops, one German."""
    fate = rng.randrange(10)
    if fate == 0:
        return REFUSAL * 3
    if fate == 1:
        return "The boat drifts."
    if fate == 2:
        return f"{_sentences(rng, 5)} " + "It is a long way to the river and back. " * 20
    if fate == 3:
        return GERMAN * 8
    return _sentences(rng, 40)


def unable(name: str, system: str, user: str, schema: dict, rng: Any) -> dict:
    """Finds the canary's code words, and fills no document."""
    written = fair(name, system, user, schema, rng)
    if name == "document":
        written["passages"] = []
    return written


def lost(name: str, system: str, user: str, schema: dict, rng: Any) -> dict:
    """Does not find the canary's code words either."""
    written = unable(name, system, user, schema, rng)
    if name == "canary":
        written = {
            key: value if key == "seal" else "139010009344829325" for key, value in written.items()
        }
    return written


def _sentences(rng: Any, count: int) -> str:
    return " ".join(
        f"The {rng.choice(_SUBJECTS.split())} {rng.choice(_VERBS.split())} the"
        f" {rng.choice(_OBJECTS.split())} near the {rng.choice(_PLACES.split())}."
        for _ in range(count)
    )


def _exchange(rng: Any) -> dict:
    """One instruction; of six one repeats itself, one names a speaker."""
    fate = rng.randrange(6)
    prompt = f"What does the {rng.choice(_SUBJECTS.split())} do at {rng.randrange(1000)}?"
    if fate == 0:
        return {"prompt": prompt, "response": prompt}
    response = _sentences(rng, 5)
    return {"prompt": prompt, "response": f"Assistant: {response}" if fate == 1 else response}


def _item(rng: Any) -> dict:
    """One item; of six one gives a choice twice, one speaks of the other choices, one tells."""
    fate = rng.randrange(6)
    subject, right = rng.choice(_SUBJECTS.split()), rng.randrange(1, 5)
    choices = rng.sample([f"it {verb} the boat" for verb in _VERBS.split()], 4)
    question = f"What does the {subject} of house {rng.randrange(10_000)} do?"
    if fate == 0:
        choices[1] = choices[0]
    if fate == 1:
        choices[3] = "None of the above"
    if fate == 2:
        question = f"Since {choices[right - 1]}, what does the {subject} do?"
    return {
        "question": question,
        "choices": choices,
        "answer": right,
        "explanation": f"The {subject} says that it is the boat that it takes, and no other thing.",
    }


def _other(name: str, system: str, user: str, schema: dict, rng: Any) -> dict:
    if name == "instruction":
        return _exchange(rng)
    if name == "item":
        return _item(rng)
    if name != "topics":
        return brains.answer(name, system, user, schema, rng)
    (body,) = [match["body"] for match in _FENCED.finditer(user)]
    subject = re.search(r"about (\w+)", body)[1]
    path = ["Science", "Nature", subject.capitalize() if len(body) % 2 else f"{subject}!"]
    return {"topics": [{"path": path, "keywords": [subject, "nature", "life"]}]}


_answered: list[str] = []
_more_answered = threading.Condition()


def late_about_beekeeping(name: str, system: str, user: str, schema: dict, rng: Any) -> dict:
    """Answers what is about beekeeping when eight other documents have been answered."""
    with _more_answered:
        if name == "document" and "topic: beekeeping" in user:
            _more_answered.wait_for(lambda: len(_answered) >= 8)
        elif name == "document":
            _answered.append(user)
            _more_answered.notify_all()
    return fair(name, system, user, schema, rng)
