"""When a corpus counts as less diverse than another: by intervals, never by points."""

import pytest

from divsyn_jax.base.errors import UserError
from divsyn_jax.diversity.comparing.verdict import Change


def _change(low, high, p=0.5):
    middle = (low * high) ** 0.5
    return Change("old", "new", 100.0, 100 * middle, low, high, p, 500)


@pytest.mark.parametrize(
    ("low", "high", "condition", "margin", "holds"),
    [
        (0.7, 0.9, "less_diverse", 0.0, True),
        (0.7, 1.05, "less_diverse", 0.0, None),  # the point alone is no proof
        (1.0, 1.2, "less_diverse", 0.0, False),
        (0.7, 0.9, "less_diverse", 0.2, None),
        (0.7, 0.79, "less_diverse", 0.2, True),
        (0.81, 0.9, "less_diverse", 0.2, False),
        (1.1, 1.3, "more_diverse", 0.0, True),
        (0.9, 1.3, "more_diverse", 0.0, None),
        (0.7, 0.9, "more_diverse", 0.0, False),
        (1.1, 1.2, "more_diverse", 0.2, False),
        (1.26, 1.5, "more_diverse", 0.2, True),
        (0.7, 0.9, "different", 0.0, True),
        (1.1, 1.3, "different", 0.0, True),
        (0.9, 1.1, "different", 0.0, None),
        (0.9, 1.1, "different", 0.2, False),
    ],
)
def test_a_condition_holds_where_the_whole_interval_says_so(low, high, condition, margin, holds):
    assert _change(low, high).holds(condition, margin) is holds


def test_without_an_interval_of_the_ratio_the_test_decides():
    fallen = Change("old", "new", 100, 80, None, None, 0.01, 500)
    assert fallen.holds("less_diverse", 0) is True
    assert fallen.holds("more_diverse", 0) is False
    unsure = Change("old", "new", 100, 80, None, None, 0.2, 500)
    assert unsure.holds("less_diverse", 0) is None
    with pytest.raises(UserError, match="--margin needs scores from all pairs"):
        fallen.holds("less_diverse", 0.1)


def test_the_sentence_gives_ratio_and_certainty():
    assert _change(0.64, 0.81, 1e-4).sentence().text() == (
        "new is less diverse than old: 72 against 100 effective clusters of 500 documents, 0.72"
        " times as many, 95% interval 0.64 to 0.81, p = 1.0e-04."
    )
    assert "new and old are not told apart" in _change(0.9, 1.1).sentence().text()
