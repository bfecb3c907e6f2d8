"""Front of `divsyn_jax.diversity.calibration.calibrate_agent`; also installed as the command
`calibrate_agent`.
"""

from divsyn_jax.diversity.calibration.calibrate_agent import run

if __name__ == "__main__":
    run()
