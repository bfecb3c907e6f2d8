"""What else could explain a study's outcomes:

closeness of texts, wording of answers; and advice.
"""
