"""Studies: which corpora, how they are mixed, trained on, scored and evaluated."""
