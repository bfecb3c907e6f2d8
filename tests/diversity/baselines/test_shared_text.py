import dataclasses

from divsyn_jax.diversity.baselines.shared_text import (
    FEWEST_WORDS,
    JUDGED_LENGTHS_APART,
    SharedText,
    common_shared_text,
    cut_texts,
    documents_of_one_length,
    first_documents,
    largest_shared_text,
)


def test_the_first_documents_hold_a_number_of_words():
    assert first_documents([3, 3, 1], 5) == [(0, 3), (1, 2)]
    assert first_documents([3, 1], 3) == [(0, 3)]
    assert first_documents([2], 100) == [(0, 2)]
    texts = ["a b c.", "d\n\ne,  f", "g"]
    assert cut_texts(texts, [3, 3, 1], [(0, 3), (1, 2)]) == ["a b c.", "d\n\ne"]


def test_largest_shared_text():
    texts = ["a b c", "d e f", "g"]
    assert largest_shared_text(texts, 4) == SharedText(
        4, len("a b c d e f"), 3, mean_words=7 / 3, lower_quartile=1
    )
    assert largest_shared_text(["a b c"], 100) == SharedText(3, 5, 1, 3, 3)
    assert largest_shared_text(["天文领域里。"], 100).words == 3


def _corpus(mean, quartile):
    return SharedText(900, 60, 9, mean, quartile)


def test_lengths_of_corpora_that_differ_are_matched_for_baselines_first_and_for_judges_later():
    one = _corpus(40.0, 25)
    assert common_shared_text([one]) == one
    near = common_shared_text([one, _corpus(43.0, 35)])
    assert (near.document_words, near.judged_words, near.notes()) == (None, None, [])
    apart = common_shared_text([one, _corpus(56.0, 35)])
    assert (apart.lengths_apart, apart.document_words, apart.judged_words) == (1.4, 25, None)
    assert "factor of 1.4" in apart.notes()[0]
    assert "embeddings read documents whole" in apart.notes()[0]
    assert "first 25 words" in apart.notes()[0]
    far = common_shared_text([one, _corpus(40 * JUDGED_LENGTHS_APART + 1, 35)])
    assert (far.document_words, far.judged_words) == (25, 25)
    assert "The agent, the embeddings and the baselines" in far.notes()[0]
    assert far.to_json()["judged_words"] == 25
    whole = common_shared_text([one, _corpus(400.0, 35)], match_lengths=False)
    assert (whole.document_words, whole.judged_words) == (None, None)
    assert "--nomatch_lengths" in whole.notes()[0]


def test_no_cut_is_made_below_the_floor_and_that_is_said():
    short = _corpus(20.0, FEWEST_WORDS - 1)
    shared = common_shared_text([short, _corpus(400.0, 300)])
    assert (shared.document_words, shared.judged_words) == (None, None)
    (note,) = shared.notes()
    assert "read whole" in note
    assert "19 words or fewer" in note
    assert "not comparable" in note
    assert common_shared_text([_corpus(20.0, FEWEST_WORDS), _corpus(400.0, 9)]).judged_words is None
    none = common_shared_text([_corpus(0.0, 0), _corpus(400.0, 300)])
    assert none.judged_words is None
    assert none.notes()


def test_matched_documents_are_equal_in_number_and_length():
    corpora = [
        [" ".join(["w"] * (15 + number % 40)) for number in range(101)],
        [" ".join(["w"] * (30 + number % 90)) for number in range(140)],
    ]
    shared = common_shared_text([largest_shared_text(texts, 2_000_000) for texts in corpora])
    assert shared.document_words == 23
    for texts in corpora:
        lengths = [len(text.split()) for text in texts]
        matched = cut_texts(texts, lengths, documents_of_one_length(lengths, shared))
        assert len(matched) == 75
        assert {len(text.split()) for text in matched} == {23}
        few = dataclasses.replace(shared, words=230)
        assert len(documents_of_one_length(lengths, few)) == 10


def test_without_a_length_documents_stay_whole():
    texts, lengths = ["a  b c", "d e"], [3, 2]
    kept = documents_of_one_length(lengths, largest_shared_text(texts, 100))
    assert cut_texts(texts, lengths, kept) == texts
