"""The page that a study writes: its text, tables and figures."""
