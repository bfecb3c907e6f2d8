"""Numbers and p values as reports print them."""

_LEAST_P = 1e-300  # below it a p value is a matter of how floats end


def number(value: float | None, digits: int | None = None) -> str:
    """A number for a table: four significant digits, or so many decimals; no exponent for readable
    sizes; '-' for None."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    if digits is not None:
        return f"{value:,.{digits}f}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def p_value(value: float | None) -> str:
    """A p value, never as 0; '-' for None."""
    if value is None:
        return "-"
    if value < _LEAST_P:
        return "< 1e-300"
    return f"{value:.3f}" if value >= 0.001 else f"{value:.1e}"
