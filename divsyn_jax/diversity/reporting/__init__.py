"""The page of scored corpora: its text, tables, the judge's record and the draws."""
