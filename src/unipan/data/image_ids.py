"""What predicted images are called in the files that are written, and by which ids."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from unicodedata import normalize

from unipan.data.cityscapes_labels import image_id_of, image_name
from unipan.data.coco_json import ImageEntry, leads_out, listing, read_json_as, stem_below
from unipan.errors import InputError

MAX_WHOLE = 2**53
"""Readers of JSON keep whole numbers below it."""

MAX_NAME_BYTES = 255
"""Of a file, on all usual file systems."""


@dataclass(slots=True)
class _Images:
    """What is read of a JSON that lists images."""

    images: list[ImageEntry]


def names_apart(files: Sequence[Path]) -> list[str]:
    """What to call each file: its name, or where these meet without suffixes, with as many folders as tell all apart.

    Where none do, as for a.jpg beside a.png, the names alone.
    """
    parts = [Path(os.path.abspath(file)).parts[1:] for file in files]  # noqa: PTH100 (resolves "..", follows no link)
    for depth in range(1, max(map(len, parts), default=0) + 1):
        names = ["/".join(part[-depth:]) for part in parts]
        if len({stem_below(name) for name in names}) == len(names):
            return names
    return [file.name for file in files]


def shown(name: object) -> str:
    """A name for a message; bytes that are no UTF-8 by their numbers."""
    return str(name).encode(errors="backslashreplace").decode()


def unfit(name: str, around: str) -> str:
    """What is wrong with a file's name, if files can't be named after it; empty where they can.

    around: all that the longest of these names has around this name's stem.
    """
    longest = MAX_NAME_BYTES - len(around)
    try:
        length = len(PurePosixPath(stem_below(name)).name.encode())
    except UnicodeEncodeError:
        return "its name is no UTF-8"
    if leads_out(name):
        return "its name leads out of its folder"
    return f"its name, without its suffix, is longer than {longest} bytes" if length > longest else ""


def ids_among(files: Sequence[Path], folder: Sequence[Path]) -> list[int | str]:
    """The ids that `predict` gives these images with all others of their folder, so that truth and answers have the same.

    Of the files alone, where the folder holds several of one stem, which `predict` refuses.
    """
    every = list(dict.fromkeys([*folder, *files]))
    if len({file.with_suffix("") for file in every}) < len(every):
        every = list(files)
    ids = dict(zip(every, ids_of_names(names_apart(every)), strict=True))
    return [ids[file] for file in files]


def ids_of_names(names: Sequence[str]) -> list[int | str]:
    """A whole number where the file's own name, without its suffix, is one, as COCO's 000000000139.jpg, whatever its folder.

    Where two numbers meet, or there is none, the name with its folders as `names_apart` has it.
    """
    short = [image_id_of(name) for name in names]
    met = Counter(short)
    texts = [text if met[text] == 1 else stem_below(name) for text, name in zip(short, names, strict=True)]
    numbers = [_number(text) for text in texts]
    times = Counter(numbers)
    return [text if number is None or times[number] > 1 else number for number, text in zip(numbers, texts, strict=True)]


def _number(text: str) -> int | None:
    own = text.rpartition("/")[2]
    number = int(own) if own.isascii() and own.isdigit() and len(own) < 17 else MAX_WHOLE
    return number if number < MAX_WHOLE else None


def ids_in_json(path: Path, files: Sequence[Path]) -> list[int | str]:
    """Each file's id in a JSON's `images`, found by its name without the suffix and, as far as the JSON tells them, its folders.

    Of several that fit alike the one whose name is written the same, with its suffix and its Unicode form.

    Raises: InputError for a file that is not there, or could be several.
    """
    known: dict[str, list[tuple[tuple[str, ...], PurePosixPath, int | str]]] = {}
    for entry in read_json_as(_Images, path, "a JSON file that lists images (id, file_name)").images:
        name = PurePosixPath(image_name(entry.file_name).replace("\\", "/"))
        *folders, stem = PurePosixPath(normalize("NFC", stem_below(str(name)))).parts
        known.setdefault(stem, []).append((tuple(folders), name, entry.id))
    ids: list[int | str] = []
    missing: list[Path] = []
    for file in files:
        above = Path(normalize("NFC", os.path.abspath(file))).parent.parts  # noqa: PTH100
        of_stem = known.get(normalize("NFC", file.stem), [])
        fits = [((len(f), n.name == file.name, n.stem == file.stem), i) for f, n, i in of_stem if not f or above[-len(f) :] == f]
        closest = max((likeness for likeness, _ in fits), default=None)
        best = [i for likeness, i in fits if likeness == closest]
        if len(best) > 1:
            raise InputError(f"{file} could be any of the images {listing(best)} in {path}; name its folder in their file_name.")
        ids += best
        missing += [] if best else [file]
    if missing:
        raise InputError(f"{len(missing)} of {len(files)} images are not in {path}: {listing(missing)}; leave them out.")
    twice = [i for i, times in Counter(ids).items() if times > 1]
    if twice:
        raise InputError(f"several files would get the id {listing(twice)} of {path}; predict them apart.")
    return ids
