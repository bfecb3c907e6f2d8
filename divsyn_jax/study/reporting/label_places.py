"""Where the names of points stand in a figure, so that none lies over another or over an interval.

Pixels throughout; a box is (left, bottom, right, top)."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

Box = tuple[float, float, float, float]
# Points from the marker: right above, as names are mostly read, then around it, then further off.
_ANGLES = ((1, 1), (1, -1), (-1, 1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0))
_DISTANCES = (6, 13, 21, 30)
_MARKER = 5.0
# What a name costs: per square pixel over another name, over an interval or outside of the axes;
# per pixel away from its point; and for standing nearer to another point.
_OVER_NAME, _OVER_INTERVAL, _OUTSIDE = 10.0, 1.0, 10.0
_AWAY, _NEARER_TO_ANOTHER = 3.0, 400.0
_HIDDEN_FROM = 0.03  # share of a name over another name, over a point or outside of the axes


def place_names(axis: Any, names: Sequence[Any], intervals: Sequence[Sequence[Box]]) -> None:
    """Move annotations of points to where they can be read, and hide those that find no such place.

    Args:
      axis: of a figure that has been drawn, so that its limits and size are the final ones.
      names: an annotation in offset points for every point, moved in this order.
      intervals: the boxes that the marker and the intervals of each point take up.
    """
    renderer = axis.figure.canvas.get_renderer()
    frame = axis.get_window_extent(renderer).extents
    lines = [box for boxes in intervals for box in boxes]
    points = axis.transData.transform([name.xy for name in names]) if names else []
    taken = [text.get_window_extent(renderer).extents for text in axis.texts if text not in names]
    for (x, y), name in zip(points, names, strict=True):
        width, height = name.get_window_extent(renderer).size
        pixels = axis.figure.dpi / 72
        costs = []
        for place, (dx, dy) in enumerate(_places(width / pixels, height / pixels)):
            left, bottom = x + dx * pixels, y + dy * pixels
            box = (left, bottom, left + width, bottom + height)
            cost = _OVER_NAME * sum(_shared(box, other) for other in taken)
            cost += _OVER_INTERVAL * sum(_shared(box, line) for line in lines)
            cost += _OUTSIDE * (width * height - _shared(box, tuple(frame)))
            away = _distance(box, x, y)
            cost += _AWAY * away
            cost += _NEARER_TO_ANOTHER * any(
                _distance(box, *other) < away for other in points if tuple(other) != (x, y)
            )
            costs.append((cost, place, (dx, dy), box))
        _, _, offset, box = min(costs)
        over_name = sum(_shared(box, other) for other in taken)
        over_point = sum(_shared(box, _around(point)) for point in points)
        outside = width * height - _shared(box, tuple(frame))
        if max(over_name, over_point, outside) > _HIDDEN_FROM * width * height:
            name.set_visible(False)
            continue
        name.xyann = offset
        name.set(horizontalalignment="left", verticalalignment="bottom")
        taken.append(box)


def interval_boxes(axis: Any, x: Sequence[float], y: Sequence[float]) -> list[Box]:
    """The boxes of a marker and its intervals: `x` and `y` are low end, value and high end."""
    (left, bottom), (middle, centre), (right, top) = axis.transData.transform(
        list(zip(x, y, strict=True))
    )
    return [
        (left, centre - _MARKER / 2, right, centre + _MARKER / 2),
        (middle - _MARKER / 2, bottom, middle + _MARKER / 2, top),
        (middle - _MARKER, centre - _MARKER, middle + _MARKER, centre + _MARKER),
    ]


def _places(width: float, height: float) -> Iterator[tuple[float, float]]:
    """Offsets of a name's lower left corner from its point, the best place first; in points."""
    for distance in _DISTANCES:
        for across, up in _ANGLES:
            near = distance * (0.7 if across and up else 1.0)
            yield (
                across * near - {1: 0.0, 0: width / 2, -1: width}[across],
                up * near - {1: 0.0, 0: height / 2, -1: height}[up],
            )


def _around(point: Sequence[float]) -> Box:
    """The box of a marker without its intervals."""
    x, y = point
    return (x - _MARKER, y - _MARKER, x + _MARKER, y + _MARKER)


def _distance(box: Box, x: float, y: float) -> float:
    """From a point to the nearest place of a box."""
    across = max(box[0] - x, 0.0, x - box[2])
    up = max(box[1] - y, 0.0, y - box[3])
    return math.hypot(across, up)


def _shared(one: Box, two: Box) -> float:
    """The area that two boxes share."""
    across = min(one[2], two[2]) - max(one[0], two[0])
    up = min(one[3], two[3]) - max(one[1], two[1])
    return float(max(0.0, across) * max(0.0, up))
