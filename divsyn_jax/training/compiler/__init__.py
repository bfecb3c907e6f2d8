"""Compiling a training step for accelerators that are not there, and reading what the compiler made
of it.
"""
