"""What Chen et al. 2024 (arXiv 2410.15226, tables 6-8) print: mean accuracy over eight tasks, in
percent, single runs.

For orientation beside a study's own points: other corpora, other models, and no error bars were
published. The binomial standard error of such a mean is about 0.65 points, which most differences
within an experiment do not exceed."""

COLUMNS = ("350M PT", "350M SFT", "1.4B PT", "1.4B SFT")
# By the level names of configs/diversity.py; None where nothing was published.
AVERAGES: dict[str, tuple[float | None, ...]] = {
    "real_only": (48.94, 50.00, 54.76, 57.16),
    "topics_100k_x10": (50.12, 51.43, 54.86, 57.57),
    "topics_100k_x20": (50.26, 51.83, 55.02, 58.19),
    "topics_100k_x30": (50.50, 51.96, 55.06, 58.20),
    "topics_300k_x10": (50.65, 52.38, 55.30, 58.03),
    "topics_300k_x20": (51.28, 53.04, 55.81, 58.65),
    "topics_300k_x30": (51.05, 52.62, 55.24, 58.16),
    "cosmopedia_v01": (51.61, 52.64, 56.25, 59.46),
    "cosmopedia_v02": (51.59, 53.29, 55.84, 59.46),
    "topic": (51.40, 53.03, 56.15, 59.88),
    "topic_styles": (51.81, 53.37, 56.74, 60.97),
    "topic_styles_persona": (51.92, 54.29, 57.82, 61.32),
    "multi_topic_styles_persona": (51.74, 54.06, 56.99, 60.59),
    "generator_mistral_7b": (50.86, 52.17, None, None),
    "generator_llama31_8b": (51.22, 52.32, None, None),
    "generator_gpt35": (51.23, 52.36, None, None),
    "generator_gpt4o": (51.61, 52.85, None, None),
    "generator_mixed": (51.72, 53.02, None, None),
}
