"""The language model:

one decoder, its attention, its loss, how its parameters are sharded, decoding with a cache.
"""
