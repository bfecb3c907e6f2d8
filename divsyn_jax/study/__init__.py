"""A study: corpora of different diversity in, models trained on each, one report out."""
