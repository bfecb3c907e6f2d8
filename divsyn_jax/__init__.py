"""Measure the diversity of synthetic corpora and what it buys the language models trained on them."""
