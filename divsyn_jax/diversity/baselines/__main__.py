"""python -m divsyn_jax.diversity.baselines: print the baselines as a Markdown table."""

from divsyn_jax.diversity.baselines import markdown_table

print(markdown_table())
