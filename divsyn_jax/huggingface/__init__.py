"""Exchange with the Hugging Face world:

names, tensor files, tokenizer and model card of a Llama checkpoint.
"""
