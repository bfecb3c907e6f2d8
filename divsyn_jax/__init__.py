"""Measure the diversity of synthetic corpora and what it buys the models trained on them."""

__version__ = "0.2.0"
