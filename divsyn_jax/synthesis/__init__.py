"""The built-in synthesis: a seeded grammar that writes passages from topics x styles x personas."""
