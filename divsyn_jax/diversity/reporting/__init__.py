"""The page of scored corpora, and the answer in words for page and terminal."""
