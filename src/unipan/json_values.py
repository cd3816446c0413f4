"""What a JSON's values stand for: the one idea of a number, for training, the doctor, converters and scoring alike.

Exporters write ids as 1.0 or "1" and flags as false; pydantic reads each as the whole number that it is, and nothing else.
"""

from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from pydantic import TypeAdapter

Form = TypeVar("Form")


@cache
def adapter(form: type[Form]) -> "TypeAdapter[Form]":
    """The form's checker; making it takes longer than a small file."""
    from pydantic import TypeAdapter

    return TypeAdapter(form)


def read_as(form: type[Form], value: Any) -> Form | None:
    """A value of a parsed JSON as the form, such as `int` or a data class; None where it is no such thing."""
    from pydantic import ValidationError

    try:
        return adapter(form).validate_python(value)
    except ValidationError:
        return None


def read_id(value: Any) -> int | str | None:
    """An image's id, a whole number or a text; None for anything else."""
    return read_as(cast("type[int | str]", int | str), value)
