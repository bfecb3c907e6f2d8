"""Front of `divsyn_jax.data.train_tokenizer`; also installed as the command `train_tokenizer`."""

from divsyn_jax.data.train_tokenizer import run

if __name__ == "__main__":
    run()
