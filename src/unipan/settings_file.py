"""Settings as a file, and by their full names, as in train.steps."""

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from unipan.config import Config
from unipan.errors import InputError


def save_config(config: Config, path: Path) -> None:
    """Write every setting as JSON."""
    path.write_text(json.dumps(asdict(config), indent=2) + "\n")


def load_config(path: Path) -> Config:
    """Read what `save_config` wrote. Unknown or mistyped settings are an InputError; missing ones take their defaults."""
    from pydantic import TypeAdapter, ValidationError

    try:
        return TypeAdapter(Config).validate_python(_read_settings(path), extra="forbid")
    except ValidationError as error:
        faults = error.errors()
        unknown = [".".join(map(str, fault["loc"])) for fault in faults if fault["type"] == "unexpected_keyword_argument"]
        if unknown:
            raise InputError(f"{path}: setting {_unknown(unknown)}. Take it out, or use the unipan that wrote it.") from error
        first = faults[0]
        setting = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise InputError(f"{path}: setting {setting}: {first['msg']} (came: {str(first['input'])[:80]!r}).") from error


def absent_settings(path: Path) -> list[str]:
    """Settings that the file does not hold, because an earlier version wrote it; they took their defaults."""
    return [name for name in flat_settings(Config()) if name not in _flat(_read_settings(path))]


def flat_settings(config: Config) -> dict[str, Any]:
    """Every setting by its full name, as in train.steps."""
    return _flat(asdict(config))


def with_values(settings: Any, values: Mapping[str, Any]) -> Any:
    """Settings, or a section of them, with others for some, by their full names."""
    own = {name: value for name, value in values.items() if "." not in name}
    inner: dict[str, dict[str, Any]] = {}
    for name, value in values.items():
        section, _, rest = name.partition(".")
        if rest:
            inner.setdefault(section, {})[rest] = value
    sections = {name: with_values(getattr(settings, name), part) for name, part in inner.items()}
    return replace(settings, **own, **sections)


def _read_settings(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no JSON, or no text at all
        raise InputError(f"cannot read the settings in {path}: {error}.") from error


def _flat(settings: Any, prefix: str = "") -> dict[str, Any]:
    """Nested settings by their full names; only sections are dictionaries."""
    if not isinstance(settings, dict):
        return {prefix: settings}
    inner = [_flat(value, f"{prefix}.{name}" if prefix else name) for name, value in settings.items()]
    return {name: value for part in inner for name, value in part.items()}


def _unknown(names: list[str]) -> str:
    """Settings that do not exist, each with the nearest that does."""
    known = [*flat_settings(Config()), *asdict(Config())]
    near = {name: get_close_matches(name, known, n=1) for name in names}
    return ", ".join(f"{name} is unknown" + (f" (near it: {found[0]})" if found else "") for name, found in near.items())
