"""Corpora written by an endpoint: a grid of cells, prompts, gates, and exact counts."""
