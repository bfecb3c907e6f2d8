"""What stays of a corpus: without duplicates, without evaluation items, and the more diverse part.

Every document is sketched by pure functions (`sketch.py`), in processes or on Apache Beam; what is
decided afterwards depends on the sketches and the order of the documents alone.
"""
