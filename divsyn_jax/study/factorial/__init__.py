"""Factorial studies: corpora whose kinds of diversity vary independently."""
