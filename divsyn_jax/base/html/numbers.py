"""Numbers and p values as reports print them."""

# The tests are approximations (normal, t, resampling) whose far tails nobody knows: "3e-28" would
# claim digits that no such test has.
_LEAST_P = 1e-6


def number(value: float | None, digits: int | None = None) -> str:
    """A number for a table: four significant digits, or so many decimals; no exponent for readable
    sizes; '-' for None."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    if digits is not None:
        return f"{value:z,.{digits}f}"
    return f"{value:z,.0f}" if abs(value) >= 1000 else f"{value:z.4g}"


def p_value(value: float | None) -> str:
    """A p value, never as 0 and never smaller than its test can know; '-' for None."""
    if value is None:
        return "-"
    if value < _LEAST_P:
        return "< 1e-6"
    if value < 0.001:
        return f"{value:.1e}"
    # Rounding must not carry a value to the other side of the level that verdicts speak of.
    return f"{value:.4f}" if abs(value - 0.05) < 0.0005 else f"{value:.3f}"


def p_equals(value: float | None) -> str:
    """A p value in a sentence: `p = 0.049`, `p < 1e-6`, `p unknown`."""
    if value is None:
        return "p unknown"
    shown = p_value(value)
    return f"p {shown}" if shown.startswith("<") else f"p = {shown}"


def percent(share: float) -> str:
    """A share for readers: no digits that mean nothing, and what is not quite 0 never as 0."""
    if 0 < share < 0.001:
        return "< 0.1%"
    return f"{share:.1%}" if share < 0.1 else f"{share:.0%}"
