"""Control the paper lacked: topics x generations with every corpus cut to the bytes of the
smallest.

python launch/sweep.py plan --study=configs/studies/equal_unique_tokens.py

Equal unique tokens at equal weight also means equal repetition: what is left between levels is what
the text is like."""

from configs.studies import topics


def get_config():
    """The study `topics` on equal text."""
    config = topics.get_config()
    config.name, config.equal_text = "equal_unique_tokens", True
    config.levels = [level for level in config.levels if level["name"] != "real_only"]
    return config
