"""In what precision an embedding model multiplies; found out without loading one."""

import functools
import pathlib


@functools.cache
def precision() -> str:
    """`bfloat16` where the CPU multiplies it natively, else `float32`.

    The CPU decides also where an accelerator computes, so that one machine has one answer and its
    stored vectors stay valid.
    """
    try:
        processor = pathlib.Path("/proc/cpuinfo").read_text()
    except OSError:
        return "float32"
    return "bfloat16" if "avx512_bf16" in processor or "amx_bf16" in processor else "float32"
