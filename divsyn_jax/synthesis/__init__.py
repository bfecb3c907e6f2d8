"""The built-in synthesis:

a seeded grammar that writes passages, instructions and multiple-choice items, without any model.
"""
