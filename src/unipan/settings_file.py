"""Settings as a file: what a run keeps, and what people write."""

import json
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from unipan.config import Config
from unipan.errors import InputError, about
from unipan.settings import flat, flat_settings, with_values

MOST_BYTES = 1_000_000
"""A file of settings has some thousands."""
DEEPEST = 16
"""Levels in a YAML file."""


def as_json(config: Config) -> str:
    """Every setting as JSON, which `read_settings` reads."""
    return json.dumps(asdict(config), indent=2)


def save_config(config: Config, path: Path) -> None:
    """Write every setting as JSON."""
    path.write_text(as_json(config) + "\n")


def load_config(path: Path) -> Config:
    """Read what `save_config` wrote. Unknown or mistyped settings are an InputError; missing ones take their defaults."""
    with about(path):
        return with_values(Config(), read_settings(path))


def absent_settings(path: Path) -> list[str]:
    """Settings that the file does not hold, because an earlier version wrote it; they took their defaults."""
    held = flat(read_settings(path))
    return [name for name in flat_settings(Config()) if name not in held]


def read_settings(path: Path) -> dict[str, Any]:
    """The nested values of a file in JSON, YAML or TOML, told by its ending; what they mean is not looked at."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ValueError(f"it has more than {MOST_BYTES} bytes")
        values = _parsed(path.read_text(encoding="utf-8-sig"), path.suffix.lower())
        flat(values if isinstance(values, Mapping) else {})  # finds out nesting without end, and settings of two values
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except (OSError, ValueError, RecursionError) as error:  # ValueError: another form, or no text at all
        raise InputError(f"cannot read the settings in {path}: {error}.") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} holds {type(values).__name__}, not settings by name; see what --print-config prints.")
    return values


def _parsed(text: str, suffix: str) -> Any:
    match suffix:
        case ".json":
            return json.loads(text, object_pairs_hook=_without_repeats)
        case ".toml":
            return tomllib.loads(text)
        case ".yaml" | ".yml":
            return _parsed_yaml(text)
    raise ValueError(f"its name ends in {suffix or 'nothing'}, and .json, .yaml or .toml are known")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A mapping, unless it has a name twice: the format would keep the last value and drop the others without a word."""
    for name, times in Counter(name for name, _ in pairs).items():
        if times > 1:
            raise ValueError(f"it has {name} {times} times; write it once")
    return dict(pairs)


def _check_repeats(node: Any) -> None:
    """The same for a node of YAML, in all its levels."""
    import yaml

    match node:
        case yaml.MappingNode():
            _without_repeats([(str(key.value), None) for key, _ in node.value])
            for _, value in node.value:
                _check_repeats(value)
        case yaml.SequenceNode():
            for value in node.value:
                _check_repeats(value)


def _parsed_yaml(text: str) -> Any:
    """Plain values alone, whatever tags there are. What is small and would take forever is refused as it is met."""
    import yaml

    depth = 0
    try:
        for event in yaml.parse(text):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent) or depth > DEEPEST:
                raise ValueError("it has aliases (*name), or levels upon levels; settings need neither")
        _check_repeats(yaml.compose(text, Loader=yaml.SafeLoader))
        content = yaml.safe_load(text)
        return {} if content is None else content
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())) from error
