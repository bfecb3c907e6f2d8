"""Keeps the API key out of what a server repeats of it, however it is spelled there."""

import base64
import binascii
import html.entities
import re

_LONGEST_SPELLING = 1 << 16
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_SHOWN = "[API key]"
_MOST_PACKED = 2
# What a program may put between characters: line ends, escaped or not, and what is not seen.
_BETWEEN = r"(?:\s|\\{1,2}[nrt]|[\u200b-\u200d\u2060\ufeff\u00ad\0]){0,4}"


class Redaction:
    """Takes a key out of texts; '' for none."""

    def __init__(self, key: str):
        self._key = key
        self._pattern = self._hex = None
        if key:
            self._pattern = re.compile(_BETWEEN.join(map(_spellings, key)), re.IGNORECASE)
            digits = (rf"(?:0x|\\{{1,8}}x)?{byte:02x}" for byte in key.encode())
            self._hex = re.compile(r"[\s:,;.-]{0,3}".join(digits), re.IGNORECASE)

    def clean(self, text: str) -> str:
        r"""`text` without the key: as it is, wrapped over lines, in the escapes of JSON and of
        programming languages (`\/`, `\u0041`, `\057`, also escaped again), of addresses, HTML and
        mail, in Base64 (alone or inside `user:key`, also twice), and in hexadecimal digits."""
        if self._pattern is None or self._hex is None:
            return text
        text = self._pattern.sub(_SHOWN, text)
        text = self._hex.sub(_SHOWN, text)
        return _BASE64.sub(self._without_base64, text)

    def _without_base64(self, found: re.Match[str]) -> str:
        return _SHOWN if self._is_inside(found[0], _MOST_PACKED) else found[0]

    def _is_inside(self, run: str, depth: int) -> bool:
        """Whether Base64 digits stand for a text that holds the key, perhaps packed again."""
        run = run.rstrip("=")
        wanted = self._key.encode()
        if len(run) > _LONGEST_SPELLING or len(run) * 3 // 4 < len(wanted):
            return False
        for first in range(4):  # a run may begin within another word
            part = run[first:].translate({ord("-"): "+", ord("_"): "/"})
            part = part[: len(part) - 1] if len(part) % 4 == 1 else part
            try:
                decoded = base64.b64decode(part + "=" * (-len(part) % 4))
            except (binascii.Error, ValueError):
                continue
            if wanted in decoded:
                return True
            if depth > 1 and decoded.isascii():
                inner = _BASE64.findall(decoded.decode())
                if any(self._is_inside(each, depth - 1) for each in inner):
                    return True
        return False


def _spellings(character: str) -> str:
    # The repetitions are bounded: a text of nothing but backslashes must not take its square.
    code = ord(character)
    named = "".join(f"|{re.escape(name)}" for name in _NAMES.get(character, ()))
    return (
        rf"(?:\\{{0,8}}{re.escape(character)}"
        rf"|\\{{1,8}}(?:u00{code:02x}|x{code:02x}|[ux]\{{0{{0,6}}{code:02x}\}}|0?{code:03o})"
        rf"|%(?:25){{0,4}}(?:u00)?{code:02x}|={code:02x}"
        rf"|&(?:amp;){{0,4}}(?:#0{{0,8}}{code};|#x0{{0,8}}{code:x};{named}))"
    )


def _entities() -> dict[str, list[str]]:
    names: dict[str, list[str]] = {}
    for name, character in html.entities.html5.items():
        if name.endswith(";"):
            names.setdefault(character, []).append(name)
    return names


_NAMES = _entities()
