"""Which files of a folder are data, and where the images lie that a JSON names. The one lister of folders."""

import os
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from unipan.data.cityscapes_labels import image_name
from unipan.data.coco_json import listing
from unipan.data.nearby import image_suffixes, nearby, normal_forms, spelled
from unipan.errors import InputError, about
from unipan.ops.images import is_file


@dataclass(frozen=True)
class FoundFiles:
    """The files of a folder and all its subfolders that are data, and how many are not."""

    paths: list[Path]
    """Sorted; each begins with the folder as it was given."""
    hidden: int
    """Files and folders whose names begin with a dot: what systems leave beside data."""
    other: Counter[str]
    """Files of other kinds, by lower-case suffix."""

    @property
    def left_out(self) -> str:
        """What was left out and why, for a message; empty where nothing was."""
        kinds = ", ".join(f"{suffix or 'no suffix'}: {count}" for suffix, count in sorted(self.other.items()))
        parts = [f"{self.hidden} whose names begin with a dot"] if self.hidden else []
        return " and ".join(parts + ([f"{self.other.total()} of other kinds ({kinds})"] if kinds else []))


def find_files(folder: Path, suffixes: Iterable[str] | None = None) -> FoundFiles:
    """All files below a folder that bear one of the suffixes, in whichever case. suffixes: lower case; None for all images.

    Raises: InputError where the folder is not there or can't be listed.
    """
    return sorted_out(walk(folder), image_suffixes() if suffixes is None else frozenset(suffixes))


def sorted_out(files: Iterable[Path], suffixes: Collection[str]) -> FoundFiles:
    """Of files those that bear one of the suffixes, and how many do not."""
    paths, hidden, other = [], 0, Counter[str]()
    for path in files:
        suffix = path.suffix.lower()
        if is_hidden(path.name):
            hidden += 1
        elif suffix in suffixes:
            paths.append(path)
        else:
            other[suffix] += 1
    return FoundFiles(sorted(paths), hidden, other)


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is no data."""
    return name.startswith(".")


def walk(folder: Path, above: tuple[str, ...] = ()) -> Iterator[Path]:
    """Every file below a folder, and whatever is hidden, unopened. above: the folders that lead here; a link back to one ends."""
    real = os.path.realpath(folder)
    if real in above:
        return
    for entry in _entries(folder):
        if entry.is_dir() and not is_hidden(entry.name):
            yield from walk(folder / entry.name, (*above, real))
        else:
            yield folder / entry.name


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """What lies in a folder, by name."""
    try:
        return sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise InputError(f"cannot list the folder {folder}: {error.strerror}. Name a folder that can be read.") from error


def check_apart(sources: Sequence[Path | str], outputs: Sequence[str]) -> None:
    """Refuse two sources that would be written to one output; told before anything is written. The n-th output is the n-th's.

    Raises: InputError that names both sources in full.
    """
    taken: dict[str, Path | str] = {}
    for source, output in zip(sources, outputs, strict=True):
        if output in taken:
            raise InputError(f"{taken[output]} and {source} would both become {output}; rename one, or write them apart.")
        taken[output] = source


def locate_images(folder: Path, file_names: Sequence[str]) -> list[list[str]]:
    """For each file name all paths below `folder` that it may mean: itself, `spelled`, or, if it names no folder, any so named.

    None: it is missing; several: nobody can tell which. Cityscapes' images lie in a folder for each city, and its official JSON
    names them with `_gtFine` inserted: both are found.
    """
    # One look at the folder, because one for each of COCO's images would take long on a network disk.
    top = {entry.name for entry in _entries(folder)}
    deeper = {name: spelled(folder, name) for name in file_names if name not in top}
    lost = {name for name, own in deeper.items() if not is_file(folder / own)}
    bare = [name for name in lost if name == Path(name).name]
    named = {image_name(name): name for name in bare} | {name: name for name in bare}
    # A file so called is another's in its other Unicode form only where it is nobody's own.
    wanted = {form: name for other, name in named.items() for form in normal_forms(other)} | named
    found: dict[str, list[str]] = {name: [] for name in lost}
    for path in walk(folder) if wanted else ():
        if path.name in wanted:
            found[wanted[path.name]].append(str(path.relative_to(folder)))
    return [found.get(name, [deeper.get(name, name)]) for name in file_names]


@dataclass(frozen=True)
class ListedImages:
    """Where the images lie that a file names."""

    folder: Path
    names: Sequence[str]
    candidates: list[list[str]]
    """Of each name all paths below the folder that it may mean (`locate_images`)."""

    @property
    def paths(self) -> list[str]:
        """Of each name its path below the folder; the name as it is, where there is none or more than one."""
        return [own[0] if len(own) == 1 else name for name, own in zip(self.names, self.candidates, strict=True)]

    def check(self, index: int) -> None:
        """Refuse a name that means not one file, and say what is there. Raises: InputError."""
        name, own, folder = self.names[index], self.candidates[index], self.folder
        if len(own) > 1:
            paths = listing(sorted(own))
            raise InputError(f"the image {name} could be {paths}, all below {folder}; write the subfolder into its file name.")
        if not own:
            there = nearby(folder, name)
            what = f"but {there}" if there else "nor below it; add it, or name the right folder"
            raise InputError(f"there is no image {name} in {folder}, {what}.")


def find_listed(folder: Path, names: Sequence[str], source: Path) -> ListedImages:
    """Find the images that a file names. Raises: InputError where none of them is there."""
    found = ListedImages(folder, names, locate_images(folder, names))
    if names and not any(found.candidates):
        with about(f"none of the {len(names)} images that {source} names is in {folder}, first {names[0]}"):
            found.check(0)
    return found


def found_images(folder: Path, file_names: Sequence[str], json_path: Path) -> list[str]:
    """Each file name's path below `folder`; a missing one stays as it is, and reading it is an error.

    Raises: InputError where all are missing, or one could be any of several.
    """
    found = find_listed(folder, file_names, json_path)
    for index, own in enumerate(found.candidates):
        if len(own) > 1:
            with about(json_path):
                found.check(index)
    return found.paths
