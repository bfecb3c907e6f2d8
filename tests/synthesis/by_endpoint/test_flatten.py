import random
import re

from divsyn_jax.synthesis.by_endpoint.flatten import flatten

DOCUMENT = {
    "passages": [{"keywords": ["tide"], "text": f"Passage {number}."} for number in range(3)],
    "question": {
        "question": "What pulls the water?",
        "options": ["the moon", "the wind", "the fish", "the sand"],
        "answer": 1,
        "explanation": "Gravity acts.",
    },
}


def test_the_answer_names_the_right_option_in_every_form():
    texts = [flatten(DOCUMENT, random.Random(seed)) for seed in range(400)]
    assert len({re.sub(r"the \w+", "", text) for text in texts}) > 200  # frames differ
    places = set()
    for text in texts:
        assert text.startswith("Passage 0.\n\nPassage 1.\n\nPassage 2.\n\n")
        (line,) = [
            line for line in text.splitlines() if line.endswith(" the moon") and "nswer" not in line
        ][:1]
        marker = line.removesuffix(" the moon")
        places.add(
            next(
                i for i, line in enumerate(text.split("\n\n")[3].splitlines()) if "the moon" in line
            )
        )
        (answer,) = [line for line in text.split("\n\n")[4].splitlines() if "Gravity" not in line]
        assert re.search(
            rf"{re.escape(marker.removeprefix('- ').rstrip('.:'))}( the moon)?$", answer
        ), text
        assert "Gravity acts." in text
    assert places == {1, 2, 3, 4}
    assert flatten(DOCUMENT, random.Random(5)) == texts[5]
