"""How diverse is a corpus? In three lines:

    from divsyn_jax.diversity import score
    result = score("corpus.jsonl.gz")
    print(result["effective_clusters"])

Importing this package imports neither jax nor torch; torch is imported when a text has to be
embedded."""

__all__ = ["score"]


def __getattr__(name: str):
    if name == "score":
        from divsyn_jax.diversity.api import score

        return score
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
