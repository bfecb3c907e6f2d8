"""The agents that say which documents of a draw are of one kind:

embedding, LLM judge, known labels.
"""
