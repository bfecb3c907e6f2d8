"""What a study is asked, as values: hypotheses, and the verdicts on them."""
