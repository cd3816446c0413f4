"""Parts of a scoring, for several machines: each counts every N-th image into a file, and the files together make the whole.

A part's file is JSON: `form` 1, `verb`, `part` I of `of` N, `images` of the whole, `made_of` (what the counts follow from: only
parts of one thing add up), `counts`, and for `evaluate` `records`, one of each image.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unipan.data.coco_json import listing
from unipan.errors import InputError
from unipan.files import write_json

FORM = 1


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
    missing = [f"{index}/{count}" for index in range(1, count + 1) if index not in by_index]
    if missing:
        raise InputError(f"of {count} parts {len(missing)} {'is' if len(missing) == 1 else 'are'} missing: {listing(missing)}.")
    return [by_index[index] for index in sorted(by_index)]


def _read_part(path: Path, verb: str) -> PartFile:
    try:
        content = json.loads(path.read_text())
        if content.pop("form") != FORM:
            raise InputError(f"{path} is of another version of unipan; count the part again with this one.")
        head = {name: content.pop(name) for name in ("verb", "part", "of", "images", "made_of")}
        part, num_images = PartOf(int(head["part"]), int(head["of"])), int(head["images"])
        made_of = dict(head["made_of"])
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check the path.") from error
    except InputError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is no part; give files that `unipan {verb} --part I/N --out FILE` wrote.") from error
    if head["verb"] != verb or not 1 <= part.index <= part.count:
        raise InputError(f"{path} is part {part} of `unipan {head['verb']}`, not one of `unipan {verb}`; give its own.")
    return PartFile(path=path, verb=verb, part=part, num_images=num_images, made_of=made_of, content=content)


def _check_alike(file: PartFile, made_of: Mapping[str, Any], whose: str) -> None:
    different = [name for name, value in made_of.items() if file.made_of.get(name) != value]
    if different:
        name = different[0]
        raise InputError(
            f"{file.path} was made with another {name} than {whose}: {file.made_of.get(name)}, not {made_of[name]}; parts add up "
            "where all else is the same."
        )
