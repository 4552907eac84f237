"""Which way, in words: a signed number as a direction and its length."""

__all__ = ["toward"]


def toward(value: float, plus: str, minus: str, form: str = "{:.1f}") -> str:
    """Say ``plus by 3.0`` of a number from 0 on, ``minus by 3.0`` of one below.

    >>> toward(3, "right", "left"), toward(-3, "right", "left")
    ('right by 3.0', 'left by 3.0')
    """
    return f"{minus if value < 0 else plus} by {form.format(abs(value))}"
