"""Front of `divsyn_jax.data.build_shards`; also installed as the command `build_shards`."""

from divsyn_jax.data.build_shards import run

if __name__ == "__main__":
    run()
