"""The body of a server's answer, read as a stream and held to a size.

A body of some megabytes can unpack to gigabytes, and one without an end fills the memory until the
time is up: so the bytes are counted while they come, before and after unpacking."""

import sys
import zlib
from typing import Any

# The longest answers asked for are some tens of thousands of tokens, with what a model reasons.
LONGEST_BODY = 4 << 20
# What is asked for; a server that packs otherwise is not understood.
ACCEPTED_ENCODING = "gzip"


class BodyRefused(Exception):
    """The body is too long or packed in a way that was not asked for; the message is one line."""


async def read_bounded(response: Any) -> None:
    """An httpx response hook: reads and unpacks the body of `response`, of at most `LONGEST_BODY`
    bytes, and leaves it there as if it had come plain.

    Raises `BodyRefused`."""
    encoding = response.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("gzip", "x-gzip", "deflate"):
        unpacker = zlib.decompressobj(wbits=47)  # gzip or zlib, by the first bytes
    elif encoding in ("identity", ""):
        unpacker = None
    else:
        raise BodyRefused(f"the answer is packed as {encoding[:40]!r}, which was not asked for")
    body, packed = bytearray(), 0
    try:
        async for chunk in response.stream:
            packed += len(chunk)
            if unpacker is not None:
                chunk = unpacker.decompress(chunk, LONGEST_BODY + 1 - len(body))
            body += chunk
            if max(len(body), packed) > LONGEST_BODY:
                raise BodyRefused(f"the answer is longer than {LONGEST_BODY:,} bytes")
    except zlib.error:
        raise BodyRefused("the answer is packed and damaged") from None
    finally:
        await response.stream.aclose()
    response.headers.pop("content-encoding", None)
    response.headers["content-length"] = str(len(body))
    # The SDK brings httpx under either of two names.
    response.stream = sys.modules[type(response).__module__.split(".")[0]].ByteStream(bytes(body))
