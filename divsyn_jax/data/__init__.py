"""From corpora to batches: readers, tokenizer, shards of token windows, input pipeline."""
