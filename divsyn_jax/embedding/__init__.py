"""Texts to vectors, and the store that keeps them.

`models.load` gives the model asked for, `embeddings.embed` the vectors of texts, and
`reading.summarise` says how much of the texts the model can see at all."""
