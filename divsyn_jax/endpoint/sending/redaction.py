"""Keeps the API key out of what a server repeats of it, however it is spelled there."""

import base64
import binascii
import re

_LONGEST_SPELLING = 1 << 16
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_SHOWN = "[API key]"


class Redaction:
    """Takes a key out of texts; '' for none."""

    def __init__(self, key: str):
        self._key = key
        self._pattern = re.compile("".join(map(_spellings, key)), re.IGNORECASE) if key else None
        self._hex = key.encode().hex()

    def clean(self, text: str) -> str:
        r"""`text` without the key: as it is, in JSON's escapes (`\/`, `\u0041`, also escaped
        again), percent and HTML escapes, Base64 (alone or inside `user:key`), and hexadecimal
        digits."""
        if self._pattern is None:
            return text
        text = self._pattern.sub(_SHOWN, text)
        text = re.sub(self._hex, _SHOWN, text, flags=re.IGNORECASE)
        return _BASE64.sub(self._without_base64, text)

    def _without_base64(self, found: re.Match[str]) -> str:
        run = found[0].rstrip("=")
        wanted = self._key.encode()
        if len(run) > _LONGEST_SPELLING or len(run) * 3 // 4 < len(wanted):
            return found[0]
        for first in range(4):  # a run may begin within another word
            part = run[first:].translate({ord("-"): "+", ord("_"): "/"})
            part = part[: len(part) - 1] if len(part) % 4 == 1 else part
            try:
                decoded = base64.b64decode(part + "=" * (-len(part) % 4))
            except (binascii.Error, ValueError):
                continue
            if wanted in decoded:
                return _SHOWN
        return found[0]


def _spellings(character: str) -> str:
    # The repetitions are bounded: a text of nothing but backslashes must not take its square.
    code = ord(character)
    return (
        rf"(?:\\{{0,8}}{re.escape(character)}|\\{{1,8}}(?:u00|x){code:02x}"
        rf"|%(?:25){{0,4}}{code:02x}|&#0{{0,8}}{code};|&#x0{{0,8}}{code:x};)"
    )
