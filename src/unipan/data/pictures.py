"""Where the pictures lie that a JSON names."""

import os
from collections.abc import Sequence
from pathlib import Path

from unipan.data.cityscapes_labels import picture_name
from unipan.data.coco_json import listing
from unipan.errors import InputError
from unipan.ops.images import is_file


def found_pictures(folder: Path, file_names: Sequence[str], json_path: Path) -> list[str]:
    """For each file name its path below `folder`: as it stands or, where it names no folder, a file so named in any subfolder.

    Cityscapes' pictures lie in a folder for each city, and its official JSON names them with `_gtFine` inserted: both are found.
    A name without a file stays as it is, and reading it is an error; that none has one is an error here.
    """
    # One look at the folder, because one for each of COCO's images would take long on a network disk.
    top = {path.name for path in folder.iterdir()}
    lost = [name for name in file_names if name not in top and not is_file(folder / name)]
    if not lost:
        return list(file_names)
    bare = [name for name in lost if name == Path(name).name]
    moved = _below(folder, {name: name for name in bare} | {picture_name(name): name for name in bare})
    if len(lost) == len(file_names) and not moved:
        raise InputError(
            f"none of the {len(lost)} images that {json_path} names is in {folder} or its subfolders, first {lost[0]}; "
            "name the folder that holds them."
        )
    return [moved.get(name, name) for name in file_names]


def _below(folder: Path, wanted: dict[str, str]) -> dict[str, str]:
    """Where each wanted file is: the JSON's name to the path below `folder`; two such files are an InputError.

    wanted: a picture's own name to the JSON's.
    """
    found: dict[str, list[str]] = {}
    for path, _, names in os.walk(folder):
        for name in wanted.keys() & set(names):
            found.setdefault(wanted[name], []).append(str(Path(path, name).relative_to(folder)))
    for name, places in found.items():
        if len(places) > 1:
            raise InputError(
                f"the image {name} could be {listing(sorted(places))}, all below {folder}; write the subfolder into the JSON's "
                "file_name."
            )
    return {name: places[0] for name, places in found.items()}
