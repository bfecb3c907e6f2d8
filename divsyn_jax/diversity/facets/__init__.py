"""What a corpus is diverse in: topic, style, structure and wording, each an effective number that
sees its own kind of difference and as little as can be of the others.

Every facet says of two documents how alike they are, from features that cost no endpoint and on
scales that are fixed, so that corpora are comparable; the effective number is that of all pairs
(`estimation.all_pairs`), its interval is over documents. `measured` makes them, and its table
`FACETS` says what each reads and what it cannot see."""
