"""The trainer, one concern a file:

recipe, step, optimizer, checkpoints, metrics, the run directory.
"""
