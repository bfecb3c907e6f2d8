"""The ablations of Chen et al. 2024 (arXiv 2410.15226), tables 9 and 10: score +/- spread over
rounds; J x M: leading metadata | metrics.

The paper names neither the corpus nor, for most rows, the judge.
"""

SAMPLE_SIZES = {5: "5.12 +/- 0.14", 10: "3.99 +/- 0.05", 15: "3.48 +/- 0.29", 20: "3.13 +/- 0.46"}
DRAWS = {100: "4.15 +/- 1.38", 1000: "3.71 +/- 0.25", 5000: "3.99 +/- 0.05", 10000: "4.02 +/- 0.03"}
PIPELINE = {
    "clustering": "2.67 +/- 0.46",
    "no verification": "3.74 +/- 0.63",
    "full": "3.99 +/- 0.05",
}
JUDGES = {
    "GPT-3.5": "3.83 +/- 0.11",
    "GPT-4": "3.99 +/- 0.05",
    "GPT-4o": "3.92 +/- 0.14",
    "Llama-3.1": "3.76 +/- 0.28",
}
CRITERIA = {
    "5x10": (
        "Analysis Technique, Industry Relevance | Clarity of Explanation, Jargon Usage,"
        " Technicality Level"
    ),
    "5x50": (
        "Temporal Relevance, Technical Concept Depth, Terminology Density | Semantic Coherence,"
        " Technical Language Density, Contextual Depth"
    ),
    "5x100": (
        "Subject Domain, Conceptual Density, Narrative Structure | Terminology Density,"
        " Interdisciplinary Index, Practical Impact Factor"
    ),
    "5x500": (
        "Disciplinary Focus, Conceptual Density, Interdisciplinary Relevance | Interdisciplinary"
        " Integration, Conceptual Density, Lexical Diversity"
    ),
    "3x100": (
        "Domain Specificity, Conceptual Complexity, Semantic Complexity | Novelty Score, Practical"
        " Impact Factor, Conceptual Clarity"
    ),
    "10x100": (
        "Disciplinary Focus, Conceptual Density, Terminology Density | Interdisciplinary"
        " Integration, Information Density, Lexical Diversity"
    ),
    "15x100": (
        "Disciplinary Focus, Text Complexity, Narrative Style | Interdisciplinary Integration,"
        " Conceptual Density, Lexical Diversity"
    ),
}
