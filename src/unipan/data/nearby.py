"""Files whose names a JSON spells otherwise: those that are found all the same, and those that a message names."""

import os
from functools import cache, lru_cache
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from PIL import Image

from unipan.ops.images import is_file

NO_PIXELS = {"BUFR", "EPS", "GRIB", "HDF5", "IPTC", "MPEG", "WMF"}
"""Formats of documents, films and measurements: Pillow knows their names, but can't read them by itself."""


@cache
def image_suffixes() -> frozenset[str]:
    """Lower-case suffixes of the formats that Pillow reads, as in ".jpg"."""
    Image.init()
    known = {suffix for suffix, kind in Image.registered_extensions().items() if kind in Image.OPEN and kind not in NO_PIXELS}
    return frozenset(known | {".mpo"})  # of its own reader, which Pillow's of JPEG calls


def normal_forms(name: str) -> list[str]:
    """A name's other Unicode forms: systems write an accent as a sign of its own, or not."""
    forms = [] if name.isascii() else [normalize("NFC", name), normalize("NFD", name)]
    return [form for form in dict.fromkeys(forms) if form != name]  # both are one of a sign that is kept for old files only


def spelled(folder: Path, name: str) -> str:
    """A file name out of a JSON as it is to be looked for below `folder`.

    Where the name as written is no file: with / for each backslash, as of a JSON from Windows, or in its other Unicode form, if
    one of these is a file.
    """
    slashed = name.replace("\\", "/")
    forms = [form for form in (slashed, *normal_forms(slashed)) if form != name]
    if not forms or is_file(folder / name):
        return name
    found = [form for form in forms if is_file(folder / form)]
    return found[0] if len(found) == 1 else name


def nearby(folder: Path, name: str) -> str:
    """What is there in a missing file's place, and what to do, for a message; empty where nothing is."""
    name = name.replace("\\", "/")
    if other := other_suffix(folder / name) or _other_case(folder / name):
        return f"{other} is there; write its name as it is"
    parts = PurePosixPath(name).parts
    above = Path(os.path.abspath(folder)).parents[: len(parts) - 1]  # noqa: PTH100 (links stay what they are called)
    if parent := next((one for one in above if is_file(one / name)), None):
        return f"{parent / name} is there; name the folder {parent}"
    shorter = ("/".join(parts[first:]) for first in range(1, len(parts)))
    rest = next((one for one in shorter if is_file(folder / one)), "")
    return f"{rest} is there; write its name without what leads to the folder" if rest else ""


def other_suffix(path: Path) -> str:
    """The name of a file beside a missing one that differs from it in the suffix alone; empty where there is none."""
    stem = str(path).removesuffix(path.suffix)
    names = (stem + form for suffix in sorted(image_suffixes()) for form in (suffix, suffix.upper()))
    return next((Path(name).name for name in names if is_file(name)), "")


def _other_case(path: Path) -> str:
    """The same where the letters are small or large otherwise."""
    try:
        files = _by_small_letters(path.parent, path.parent.stat().st_mtime_ns)
    except (OSError, ValueError):  # no such folder, or a name that no folder can bear
        return ""
    return files.get(_small(path.name), "")


@lru_cache(maxsize=4)
def _by_small_letters(folder: Path, changed: int) -> dict[str, str]:
    """A folder's files by their names in small letters. changed: when, since what is remembered then no longer holds."""
    return {_small(entry.name): entry.name for entry in os.scandir(folder) if entry.is_file()}


def _small(name: str) -> str:
    return normalize("NFC", name.casefold())
