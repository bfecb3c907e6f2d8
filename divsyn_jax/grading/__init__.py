"""A test bench for diversity metrics: what does a number that is called diversity see?

A metric is a function of texts to a number, ours or anybody's. `bench` computes metrics on
corpora, embedding each text once; every other module grades one property, from corpora whose
truth is known or from people's and models' answers; `grades` is what is written and read back."""
