import collections

from divsyn_jax.synthesis.grammar import knowledge, questions
from divsyn_jax.synthesis.grammar.knowledge import topics

ITEMS = questions.items(0, len(topics()))
INSTRUCTIONS = questions.instructions(0, len(topics()))


def test_items_have_four_different_choices_and_the_right_label():
    facts = {fact.question: fact.answer for topic in topics() for fact in topic.facts}
    terms = {term: meaning for topic in topics() for term, meaning in topic.terms}
    for item in ITEMS:
        assert len({choice.lower() for choice in item["choices"]}) == questions.CHOICES
        right = item["choices"][item["label"]]
        if item["form"] == "fact":
            assert right == facts[item["text"]]
        if item["form"] == "term of meaning":
            assert item["text"] == f"Which expression stands for this: {terms[right]}?"
        # The right choice cannot be copied from the question.
        assert right.lower() not in item["text"].lower()
    assert len(ITEMS) == len({item["text"] for item in ITEMS}) == 8 * len(topics())
    assert collections.Counter(item["form"] for item in ITEMS)["fact"] == 2 * len(topics())


def test_labels_and_lengths_give_nothing_away():
    labels = collections.Counter(item["label"] for item in ITEMS)
    assert all(abs(count / len(ITEMS) - 1 / 4) < 0.08 for count in labels.values())
    longest = [max(item["choices"], key=len) == item["choices"][item["label"]] for item in ITEMS]
    assert 0.1 < sum(longest) / len(ITEMS) < 0.4


def test_choices_of_facts_are_of_one_kind():
    kinds = collections.defaultdict(set)
    for topic in topics():
        for fact in topic.facts:
            kinds[fact.answer].add(fact.kind)
    facts = [item for item in ITEMS if item["form"] == "fact"]
    mixed = [
        item
        for item in facts
        if not set.intersection(*(kinds[choice] for choice in item["choices"]))
    ]
    assert len(mixed) <= 3  # of kinds that have fewer than four answers


def test_no_wrong_choice_is_the_answer_of_an_instruction():
    taught = {
        form.answer(entry)
        for form in questions._FORMS
        for topic in topics()
        for entry in knowledge.of_instructions(topic, form.entries)
    }
    for item in ITEMS:
        assert taught & set(item["choices"]) <= {item["choices"][item["label"]]}


def test_instructions_ask_nothing_that_items_ask():
    asked = {item["text"] for item in ITEMS}
    assert not [
        record for record in INSTRUCTIONS if any(question in record["prompt"] for question in asked)
    ]
    told = {
        item["choices"][item["label"]]
        for item in ITEMS
        if item["form"] in ("meaning of term", "use of tool")
    }
    assert not [
        record for record in INSTRUCTIONS if any(answer in record["response"] for answer in told)
    ]


def test_instructions_differ_and_are_spread_over_topics():
    assert len({(record["prompt"], record["response"]) for record in INSTRUCTIONS}) == len(
        INSTRUCTIONS
    )
    front = collections.Counter(record["topic"] for record in INSTRUCTIONS[: 8 * len(topics())])
    assert set(front.values()) == {8}
    assert all(record["response"].endswith((".", '."')) for record in INSTRUCTIONS)


def test_seed_and_number_of_topics():
    assert questions.items(0, 3) == questions.items(0, 3)
    assert questions.items(0, 3) != questions.items(1, 3)
    assert {item["topic"] for item in questions.items(5, 3)} == {
        topic.name for topic in topics()[:3]
    }
    # An item is the same however many topics are asked about.
    few, all_ = (
        {i["text"]: i["choices"] for i in questions.items(0, n)} for n in (3, len(topics()))
    )
    assert few.items() <= all_.items()
