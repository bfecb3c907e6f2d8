"""Evaluation of trained runs: held-out text, tasks of lm-evaluation-harness, generation."""
