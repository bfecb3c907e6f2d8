"""A very small study for the test on a real Slurm:

two breadths and a null twin, one seed, long enough to be killed.
"""

from tests.study import small_study as study_recipe


def get_config():
    """The study of the tests with all of its stages, a level less and more steps."""
    config = study_recipe.get_config()
    config.name = "slurm"
    config.levels = [
        {"name": "narrow", "topics": 2, "styles": 1, "personas": 1, "seed": 0},
        {"name": "twin", "topics": 2, "styles": 1, "personas": 1, "seed": 1},
        {"name": "broad", "topics": 20, "styles": 4, "personas": 4, "seed": 0},
    ]
    config.null_control = ("narrow", "twin")
    config.train.steps, config.train.checkpoint.every_steps = 60, 10
    return config
