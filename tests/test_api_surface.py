"""What unipan offers from Python stands in api_surface.json: a name that goes, goes there too, under review."""

import inspect
import json
from pathlib import Path
from typing import Any

import unipan

SURFACE = Path(__file__).with_name("api_surface.json")


def described(value: Any) -> list[str]:
    """The parameters of a function; of a class its own public names."""
    if not inspect.isclass(value):
        return [*inspect.signature(value).parameters]
    own = [name for one in value.__mro__ if one.__module__.startswith("unipan") for name in (*one.__dict__, *one.__annotations__)]
    return sorted({name for name in own if not name.startswith("_")})


def test_nothing_public_is_gone() -> None:
    """What is new is to be written down too: `{name: described(...)}` of `unipan.__all__`, as JSON."""
    now = {name: described(getattr(unipan, name)) for name in unipan.__all__}
    written = json.loads(SURFACE.read_text())
    assert now.keys() == written.keys()
    assert {name: gone for name, names in written.items() if (gone := {*names} - {*now[name]})} == {}
