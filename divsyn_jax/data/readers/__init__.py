"""Readers of corpora: files, folders and data sets in, a stream of documents out."""
