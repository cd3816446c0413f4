"""Nested settings by their full names, as in train.steps: read, changed and checked."""

from collections.abc import Mapping
from dataclasses import asdict
from difflib import get_close_matches
from functools import cache
from pathlib import PurePath
from typing import Any, TypeVar

from unipan.errors import InputError

Settings = TypeVar("Settings")


def flat_settings(settings: Any) -> dict[str, Any]:
    """Every setting by its full name, of nested dataclasses."""
    return flat(asdict(settings))


def flat(settings: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings as one, by full names; names with dots in them may stand for levels.

    Raises: InputError for a setting that has two values, in two forms of its name.
    """
    found: dict[str, Any] = {}
    for name, value in settings.items():
        full_name = f"{prefix}{name}"
        part = flat(value, f"{full_name}.") if isinstance(value, Mapping) and value else {full_name: value}
        twice = sorted(found.keys() & part.keys())
        if twice:
            raise InputError(f"setting {twice[0]} stands there twice; write it once.")
        found |= part
    return found


def with_values(settings: Settings, values: Mapping[str, Any]) -> Settings:
    """Settings with others for some, by full names or section by section; lists do for tuples, and paths for texts.

    Raises: InputError for names that there are not, with the nearest that there are, and for values that a setting can't take.
    """
    from pydantic import ValidationError

    sections = asdict(settings)  # type: ignore[call-overload] (any dataclass)
    changes = flat(values)
    _check_names(list(changes), list(flat(sections)))
    for full_name, value in changes.items():
        *path, name = full_name.split(".")
        section = sections
        for part in path:
            section = section[part]
        section[name] = str(value) if isinstance(value, PurePath) else value
    try:
        return _checker(type(settings)).validate_python(sections)
    except ValidationError as error:
        fault = error.errors()[0]
        own = fault.get("ctx", {}).get("error")
        if isinstance(own, InputError):
            raise own from error
        name = ".".join(map(str, fault["loc"]))
        raise InputError(f"setting {name}: {fault['msg']} (came: {str(fault['input'])[:80]!r}).") from error


@cache
def _checker(kind: type) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


def _check_names(names: list[str], known: list[str]) -> None:
    """Refuse settings that do not exist, and name the nearest that do."""
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InputError(f"setting {', '.join(_unknown(name, known) for name in unknown)}. Mend the name, or take it out.")


def _unknown(name: str, known: list[str]) -> str:
    inner = [one for one in known if one.startswith(f"{name}.")]
    near = [one for one in known if one.endswith(f".{name}")] or get_close_matches(name, known, n=1)
    if inner:
        return f"{name} is a section, whose settings are named like {inner[0]}"
    return f"{name[:80]} is unknown" + (f" (near it: {near[0]})" if near else "")
