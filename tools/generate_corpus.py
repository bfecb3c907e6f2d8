"""Front of `divsyn_jax.synthesis.generate_corpus`; also installed as the command `generate_corpus`."""

from divsyn_jax.synthesis.generate_corpus import run

if __name__ == "__main__":
    run()
