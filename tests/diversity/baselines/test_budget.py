from divsyn_jax.diversity.baselines.budget import (
    Budget,
    common_budget,
    cut_to_words,
    largest_budget,
    match_lengths,
)


def test_cut_to_words_keeps_white_space():
    assert cut_to_words(["a b c", "d\n\ne  f", "g"], 5) == ["a b c", "d\n\ne"]
    assert cut_to_words(["a b c ", "d"], 3) == ["a b c "]
    assert cut_to_words(["a b"], 100) == ["a b"]


def test_largest_budget():
    texts = ["a b c", "d e f", "g"]
    assert largest_budget(texts, 4) == Budget(
        4, len("a b c d e f"), 3, mean_words=7 / 3, lower_quartile=1
    )
    assert largest_budget(["a b c"], 100) == Budget(3, 5, 1, mean_words=3, lower_quartile=3)


def test_common_budget_matches_lengths_of_corpora_that_differ_in_length():
    one, two, near = Budget(5, 60, 9, 4.0, 2), Budget(9, 30, 7, 6.0, 3), Budget(9, 60, 9, 4.3, 3)
    assert common_budget([one]) == one
    assert common_budget([one, two]) == Budget(5, 30, 7, 4.0, 2, document_words=2)
    assert common_budget([one, two], match_lengths=False).document_words is None
    assert common_budget([one, near]).document_words is None


def test_matched_documents_are_equal_in_number_and_length():
    corpora = [
        [" ".join(["w"] * (5 + number % 40)) for number in range(101)],
        [" ".join(["w"] * (20 + number % 90)) for number in range(140)],
    ]
    budget = common_budget([largest_budget(texts, 2_000_000) for texts in corpora])
    assert budget.document_words == 13
    for texts in corpora:
        matched = match_lengths(texts, budget)
        assert len(matched) == 75
        assert {len(text.split()) for text in matched} == {13}
    few_words = common_budget([largest_budget(texts, 130) for texts in corpora])
    assert [len(match_lengths(texts, few_words)) for texts in corpora] == [10, 10]


def test_without_a_length_documents_stay_whole():
    texts = ["a  b c", "d e"]
    assert match_lengths(texts, largest_budget(texts, 100)) == texts
