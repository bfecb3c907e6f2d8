"""How diverse is a corpus? In three lines:

    from divsyn_jax.diversity import compare, score
    score(["one text", "another", ...]).effective_clusters  # or a path, a column, a data set
    print(compare({"v1": "v1.jsonl", "v2": texts}).verdict)

Importing this package imports neither jax nor torch; torch is imported when a text has to be
embedded."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from divsyn_jax.diversity.api import ComparedCorpora, ScoredCorpus, compare, score

__all__ = ["ComparedCorpora", "ScoredCorpus", "compare", "score"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from divsyn_jax.diversity import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*globals(), *__all__]
