"""Computes somebody's metric in an interpreter of its own; imports nothing of this project.

Started with module:function. Answers one line of JSON a line: first what the function says of
itself, then, to {"texts": [...]}, its value and the CPU-seconds that were used so far.
"""

import importlib
import json
import os
import sys
import time


def serve_metric(name: str) -> None:
    """Answer on standard output until standard input ends."""
    # What the metric prints must not stand among the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(content: dict) -> None:
        answers.write(json.dumps(content) + "\n")
        answers.flush()

    sys.path[0] = os.getcwd()
    module, _, function_name = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), function_name)
    except Exception as error:
        answer({"error": f"{type(error).__name__}: {error}"})
        return
    said = ("direction", "effective_number", "source")
    answer({key: getattr(function, key) for key in said if hasattr(function, key)})
    for line in sys.stdin:
        try:
            value = float(function(json.loads(line)["texts"]))
            answer({"value": repr(value), "cpu": time.process_time()})
        except Exception as error:
            answer({"error": f"{type(error).__name__}: {error}", "cpu": time.process_time()})


if __name__ == "__main__":
    serve_metric(sys.argv[1])
