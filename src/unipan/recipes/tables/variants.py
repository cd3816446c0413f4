"""The ablations: each variant is a handful of settings that differ from the preset's. To try something, add a line."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from unipan.config import Config
from unipan.errors import InputError

_TAUGHT = {"model.affinity_position": True, "loss.affinity": 0.5}
_EXISTENCE = {"model.existence": True}

VARIANTS: dict[str, Mapping[str, Any]] = {
    "preset": {},
    "bare": {"model.affinity_position": False, "loss.affinity": 0.0, "model.existence": False},
    "position": {"model.affinity_position": True},
    "supervised": {"loss.affinity": 0.5},
    "taught": _TAUGHT,
    "existence": _EXISTENCE,
    "taught-existence": {**_TAUGHT, **_EXISTENCE},
    "none": {"model.propagation": "none"},
}
"""Settings by their full names. `preset` is the base itself, `bare` the unified head without what was added to it."""


def variant_config(name: str, base: Config, *, seed: int) -> Config:
    """The settings of one training.

    Raises: InputError for a variant that is not listed.
    """
    if name not in VARIANTS:
        raise InputError(f"variant {name} is unknown; choose from {', '.join(VARIANTS)}, or add it to VARIANTS.")
    return with_settings(base, {**VARIANTS[name], "train.seed": seed})


def with_settings(config: Config, changes: Mapping[str, Any]) -> Config:
    """The same settings but for those named, as in train.steps."""
    for name, value in changes.items():
        config = _changed(config, name.split("."), value)
    return config


def _changed(section: Any, path: list[str], value: Any) -> Any:
    first, *rest = path
    return replace(section, **{first: _changed(getattr(section, first), rest, value) if rest else value})
