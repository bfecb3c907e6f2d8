"""Front of `divsyn_jax.synthesis.generate_corpus`, which is installed as `generate_corpus` too."""

from divsyn_jax.synthesis.generate_corpus import run

if __name__ == "__main__":
    run()
