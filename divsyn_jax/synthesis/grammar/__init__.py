"""The built-in grammar: a seeded writer of passages, instructions and items that needs no model."""
