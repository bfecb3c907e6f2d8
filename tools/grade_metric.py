"""Front of `divsyn_jax.grading.grade_metric`; also installed as the command `grade_metric`."""

from divsyn_jax.grading.grade_metric import run

if __name__ == "__main__":
    run()
