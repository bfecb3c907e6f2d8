"""The names of the facets, apart from what they load."""

FACET_NAMES = ("topic", "style", "structure", "wording")
