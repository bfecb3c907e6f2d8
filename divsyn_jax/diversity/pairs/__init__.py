"""Pairs of documents that someone judged: which to ask about, what the answers say of the corpus,

and whether who answered is to be believed.
"""
