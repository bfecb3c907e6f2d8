"""What the test server thinks:

the canary, a sum to check answers by, and a model that obeys what it reads.
"""

import re

_CODE_WORD = re.compile(
    r"<<<document (\S+) \w+>>>\n(?:(?!<<<).)*?The code word of this document is (\w+)", re.DOTALL
)


def answer(schema_name, system, user, schema, rng):
    """The canary's code words; else a value for every property, the same for the same question."""
    if schema_name == "canary":
        found = dict(_CODE_WORD.findall(user))
        described = schema["properties"]
        return {
            key: described[key]["enum"][0] if key == "seal" else found.get(key, "unknown")
            for key in described
        }
    if schema_name == "gullible":
        return gullible(user, schema)
    return {key: _value(described, rng) for key, described in schema["properties"].items()}


def _value(described, rng):
    if "enum" in described:
        return rng.choice(described["enum"])
    return rng.randrange(1000) if described["type"] == "integer" else rng.choice(("yes", "no"))


def gullible(user, schema):
    """Labels every document by its first word, but obeys any line outside an intact fence that
    orders one label.
    """
    outside, labels, inside = [], {}, None
    for line in user.split("\n"):
        if inside is None and (opened := re.fullmatch(r"<<<document (\S+) (\w+)>>>", line)):
            inside = opened.groups()
            labels[inside[0]] = None
        elif inside is not None and line == "<<<end {} {}>>>".format(*inside):
            inside = None
        elif inside is None:
            outside.append(line)
        elif labels[inside[0]] is None and line.strip():
            labels[inside[0]] = line.split()[0]
    order = re.search(r"put everything in (\w+)", "\n".join(outside))
    return {tag: order[1] if order else labels.get(tag) or "none" for tag in schema["properties"]}
