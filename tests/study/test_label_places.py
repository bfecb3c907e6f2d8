"""Names of points in figures overprint neither each other nor the points."""

import pytest

from divsyn_jax.study.reporting.label_places import interval_boxes, place_names

POINTS = {
    "together": [(1, 1), (1.01, 1.01), (1.02, 0.99)],
    "in a row": [(1, 1), (1.3, 1.02), (1.6, 1.01), (1.9, 1)],
    "at the edges": [(0, 0), (2, 2), (0, 2), (2, 0)],
}


@pytest.mark.parametrize("points", POINTS.values(), ids=POINTS)
def test_no_name_lies_over_another_or_over_a_point(points):
    plt = pytest.importorskip("matplotlib.pyplot")
    figure, axis = plt.subplots(figsize=(4, 3), layout="constrained")
    axis.set(xlim=(-0.2, 2.2), ylim=(-0.2, 2.2))
    named = []
    for number, (x, y) in enumerate(points):
        axis.errorbar(x, y, xerr=0.1, yerr=0.1, fmt="o")
        named.append(
            axis.annotate(
                f"corpus {number}", (x, y), xytext=(0, 0), textcoords="offset points", fontsize=8
            )
        )
    figure.canvas.draw()
    ends = [([x - 0.1, x, x + 0.1], [y - 0.1, y, y + 0.1]) for x, y in points]
    place_names(axis, named, [interval_boxes(axis, *each) for each in ends])
    boxes = [name.get_window_extent() for name in named]
    frame = axis.get_window_extent()
    for number, box in enumerate(boxes):
        assert not box.count_overlaps(boxes[:number] + boxes[number + 1 :])
        assert not any(box.contains(*axis.transData.transform(point)) for point in points)
        assert frame.x0 <= box.x0
        assert box.x1 <= frame.x1
    plt.close(figure)


def test_a_name_that_finds_no_place_is_hidden():
    plt = pytest.importorskip("matplotlib.pyplot")
    figure, axis = plt.subplots(figsize=(2, 2), layout="constrained")
    points = [(1 + number / 200, 1 + number % 5 / 100) for number in range(40)]
    named = []
    for number, point in enumerate(points):
        axis.plot(*point, "o")
        named.append(
            axis.annotate(f"corpus {number}", point, (0, 0), textcoords="offset points", fontsize=8)
        )
    figure.canvas.draw()
    place_names(axis, named, [interval_boxes(axis, [x] * 3, [y] * 3) for x, y in points])
    shown = [name.get_window_extent() for name in named if name.get_visible()]
    assert 0 < len(shown) < len(named)
    for number, box in enumerate(shown):
        for other in shown[:number]:
            shared = box.intersection(box, other)
            assert shared is None or shared.width * shared.height < 0.05 * box.width * box.height
    plt.close(figure)
