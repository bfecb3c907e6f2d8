"""Front of `divsyn_jax.diversity.score_corpus`; also installed as the command `score_corpus`."""

from divsyn_jax.diversity.score_corpus import run

if __name__ == "__main__":
    run()
