"""Parts of a scoring, for several machines: each counts every N-th image into a file, and the files together make the whole.

A part's file is JSON: `form` 1, `verb`, `part` I of `of` N, `images` of the whole, `made_of` (what the counts follow from: only
parts of one thing add up), `counts`, and for `evaluate` `records`, one of each image.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count as count_from
from itertools import islice
from pathlib import Path
from typing import Any

from unipan.data.coco_json import SHOWN
from unipan.errors import InputError
from unipan.files import write_json
from unipan.json_values import read_as

FORM = 1
MOST = 2**53
"""Of parts and of images; more are no count of ours."""


@dataclass(frozen=True)
class PartOf:
    """Which part of how many."""

    index: int
    """From 1."""
    count: int

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"

    def positions(self, length: int) -> range:
        """Which of so many images are of this part."""
        return range(self.index - 1, length, self.count)


@dataclass
class _Head:
    """What every part's file begins with."""

    form: int
    verb: str
    part: int
    of: int
    images: int
    made_of: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class PartFile:
    """What a part's file says."""

    path: Path
    verb: str
    part: PartOf
    num_images: int
    """Of the whole."""
    made_of: dict[str, Any]
    content: dict[str, Any]
    """The counts, and whatever else the verb keeps."""

    def records(self) -> list[Any]:
        """Those of its images, in their order, with as many as there must be. Raises: InputError."""
        wanted, found = len(self.part.positions(self.num_images)), self.content.get("records")
        number = len(found) if isinstance(found, list) else 0
        if number != wanted:
            raise InputError(f"it has {number} records of its {wanted} images; count the part again.")
        return found or []


def asked_part(part: str, out: Path | None, files: Sequence[Path]) -> PartOf | None:
    """The options --part, --out and --merge-parts: the part that is asked for; None for the whole.

    Raises: InputError where they don't go together.
    """
    if part and files:
        raise InputError(f"--part {part} and --merge-parts came; count the parts first, and then merge them all.")
    if bool(part) != (out is not None):
        raise InputError(
            f"--part {part} came without --out; name the file for its counts."
            if part
            else f"--out {out} came without --part; the whole is not written there."
        )
    if not part:
        return None
    found = re.fullmatch(r"([0-9]+)/([0-9]+)", part)
    if not found or not 1 <= int(found[1]) <= int(found[2]):
        raise InputError(f"--part is {part}; give I/N with I from 1 to N, as 1/4 to 4/4.")
    return PartOf(int(found[1]), int(found[2]))


def write_part(
    path: Path, verb: str, part: PartOf, *, num_images: int, made_of: Mapping[str, Any], content: Mapping[str, Any]
) -> None:
    """Write a part's file. num_images: of the whole."""
    head = {"form": FORM, "verb": verb, "part": part.index, "of": part.count, "images": num_images, "made_of": made_of}
    write_json(path, {**head, **content}, indent=None)


def read_parts(paths: Sequence[Path], verb: str, made_of: Mapping[str, Any]) -> list[PartFile]:
    """All parts of a whole, in their order, from files in any order. made_of: what this command's own counts follow from.

    Raises: InputError where a file is none, or they are not the parts of one whole, each once.
    """
    files = [_read_part(path, verb) for path in paths]
    if not files:
        raise InputError(f"no part came to merge; give the files of all parts that `unipan {verb} --part I/N --out FILE` wrote.")
    for file in files:
        _check_alike(file, json.loads(json.dumps(made_of)), "this command")
        _check_alike(file, files[0].made_of, str(files[0].path))
        if (file.part.count, file.num_images) != (files[0].part.count, files[0].num_images):
            came = [f"{one.path} is part {one.part} of {one.num_images} images" for one in (files[0], file)]
            raise InputError(f"{came[0]}, but {came[1]}; merge the parts of one whole.")
    by_index: dict[int, PartFile] = {}
    for file in files:
        if file.part.index in by_index:
            raise InputError(f"{by_index[file.part.index].path} and {file.path} are both part {file.part}; give each part once.")
        by_index[file.part.index] = file
    count = files[0].part.count
    if missing := count - len(by_index):
        first = islice((f"{index}/{count}" for index in count_from(1) if index not in by_index), min(missing, SHOWN))
        more = f" and {missing - SHOWN} more" if missing > SHOWN else ""
        raise InputError(f"of {count} parts {missing} {'is' if missing == 1 else 'are'} missing: {', '.join(first)}{more}.")
    return [by_index[index] for index in sorted(by_index)]


def _read_part(path: Path, verb: str) -> PartFile:
    try:
        content = json.loads(path.read_text())
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check the path.") from error
    except (ValueError, RecursionError):  # ValueError: no JSON, or no text at all
        content = {}
    head = read_as(_Head, content)
    if head and head.form != FORM:
        raise InputError(f"{path} is of another version of unipan; count the part again with this one.")
    if head is None or not 1 <= head.part <= head.of <= MOST or not 0 <= head.images <= MOST:
        raise InputError(f"{path} is no part; give files that `unipan {verb} --part I/N --out FILE` wrote.")
    part = PartOf(head.part, head.of)
    if head.verb != verb:
        raise InputError(f"{path} is part {part} of `unipan {head.verb}`, not one of `unipan {verb}`; give its own.")
    return PartFile(path=path, verb=verb, part=part, num_images=head.images, made_of=head.made_of, content=content)


def _check_alike(file: PartFile, made_of: Mapping[str, Any], whose: str) -> None:
    different = [name for name, value in made_of.items() if file.made_of.get(name) != value]
    if different:
        name = different[0]
        raise InputError(
            f"{file.path} was made with another {name} than {whose}: {file.made_of.get(name)}, not {made_of[name]}; parts add up "
            "where all else is the same."
        )
