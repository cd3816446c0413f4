"""Which image a labelme file means."""

import os
import posixpath
from pathlib import Path

from unipan.data.nearby import other_suffix
from unipan.ops.images import is_file


def image_name(path: Path, image_path: str | None, labels_dir: Path, images_dir: Path) -> str:
    """The image below the images folder that a JSON means: the first of these that is there, perhaps with another suffix.

    What its imagePath says, from the JSON's own folder or from the same subfolder of the images; without as few of its first
    folders as it takes, since labelme may have run elsewhere; its bare name in the JSON's subfolder. Where none is, the bare
    name, to be found anywhere below. imagePath is of whichever system, and places outside the images folder are none of these.
    Without an imagePath, the image that is called like the JSON.
    """
    folder = path.relative_to(labels_dir).parent
    if not image_path:
        return _namesake(path.name, [folder, Path()], images_dir)
    written, root = image_path.replace("\\", "/"), Path(os.path.abspath(images_dir))  # noqa: PTH100 (links stay what they are called)
    name = written.rpartition("/")[2]
    parts = [part for part in posixpath.normpath(written).split("/") if part not in ("", "..")]
    shorter = ["/".join(parts[first:]) for first in range(len(parts) - 1)]
    below = [path.parent / written, *(root / one for one in (folder / written, *shorter, folder / name))]
    for image in (Path(os.path.abspath(one)) for one in below):  # noqa: PTH100
        if image.is_relative_to(root) and (is_file(image) or (os.path.isdir(image.parent) and other_suffix(image))):  # noqa: PTH112
            return image.relative_to(root).as_posix()
    return name


def _namesake(name: str, folders: list[Path], images_dir: Path) -> str:
    """The image of a JSON's stem in the first of some folders below the images folder that has one; the stem where none has."""
    there = [(folder, other_suffix(images_dir / folder / name)) for folder in folders]
    return next(((folder / image).as_posix() for folder, image in there if image), Path(name).stem)
