"""Counts as JSON and back, digit for digit: what one machine has counted can be added on another."""

from dataclasses import fields
from typing import Any, TypeVar, cast

import numpy as np

from unipan.errors import InputError
from unipan.metrics.additive import Additive

T = TypeVar("T")


def counts_to_json(counts: Any) -> Any:
    """An additive state as an object by its fields' names, an array as lists in lists, a number as itself."""
    if isinstance(counts, Additive):
        return {field.name: counts_to_json(getattr(counts, field.name)) for field in fields(cast(Any, counts))}
    return counts.tolist() if isinstance(counts, np.ndarray) else int(counts)


def counts_from_json(value: Any, zero: T, where: str = "counts") -> T:
    """What `counts_to_json` made. zero: the counts of no image, which have the same fields and shapes.

    Raises: InputError for another form.
    """
    if isinstance(zero, Additive):
        names = [field.name for field in fields(cast(Any, zero))]
        if not isinstance(value, dict) or [*value] != names:
            raise InputError(f"{where} are not of the fields {', '.join(names)}.")
        return type(zero)(*(counts_from_json(value[name], getattr(zero, name), f"{where}.{name}") for name in names))
    numbers = _whole_numbers(value)
    if numbers is None or numbers.shape != np.shape(zero):  # type: ignore[arg-type] (a number or an array)
        raise InputError(f"{where} are not whole numbers of the shape {np.shape(zero)}.")  # type: ignore[arg-type]
    return cast(T, numbers if isinstance(zero, np.ndarray) else value)


def _whole_numbers(value: Any) -> Any:
    try:
        numbers = np.array(value)
    except (ValueError, OverflowError):  # lists of several lengths, numbers of over 64 bits
        return None
    return numbers if numbers.dtype == np.int64 else None
