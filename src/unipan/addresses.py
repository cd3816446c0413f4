"""Files by address, as s3://BUCKET/FOLDER: the one file that knows fsspec, which knows the stores. Plain paths stay plain.

fsspec itself comes with PyTorch; what it needs for S3 and Google's store are in the extra `cloud`.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from unipan.errors import InputError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

_PARTS = re.compile(r"(.*?://)(.*?)(::.*)?", re.DOTALL)
_HERE = re.compile(r"(?:file|local)://(.*)", re.DOTALL)


class Address(str):
    """Of a file or a folder: SCHEME://..., whatever fsspec takes, also its chains, as zip://FOLDER::s3://BUCKET/FILE.zip.

    A chain's last link may be a path of this machine.
    """

    __slots__ = ("_parts",)

    _parts: tuple[str, ...]
    """What stands before the path, the path, and what a chain has behind it: where a file's own name has ::, no text tells."""

    def __new__(cls, text: str, parts: tuple[str, ...] = ()) -> "Address":
        """text: with :// in it. parts: which together are the text, where they are known."""
        address = super().__new__(cls, text)
        address._parts = parts or _PARTS.fullmatch(text).groups(default="")  # type: ignore[union-attr] (it has ://)
        return address

    @property
    def path(self) -> Path:
        """What names are made from: the same words as a path of this machine, where no file needs to be."""
        return Path("/" + self._parts[1].strip("/"))

    def below(self, name: str) -> "Address":
        """A file or folder in this folder."""
        before, path, behind = self._parts
        parts = (before, f"{path and path.rstrip('/') + '/'}{name}", behind)
        return Address("".join(parts), parts)

    def is_in(self, folder: "Address") -> bool:
        """Whether it is that folder, or lies below it."""
        own, others = self._parts, folder._parts
        return own[::2] == others[::2] and self.path.is_relative_to(folder.path)


Location: TypeAlias = Path | Address


class FileState(NamedTuple):
    """What tells a file from what it was before."""

    bytes: int
    changed_ns: int  # since 1970


def location_of(text: str) -> Location:
    """What a word stands for: an address where it has a scheme other than this machine's own, else a path."""
    if here := _HERE.fullmatch(text):
        return Path(here[1])
    return Address(text) if "://" in text else Path(text)


def here(path: str | Path) -> Path:
    """The path, also out of its address on this machine, of whose slashes a path has kept one: file:/A for file:///A."""
    found = _HERE.fullmatch(re.sub(r"^(file|local):/(?!/)", r"\1:///", str(path)))
    return Path(found[1] if found and not Path(path).exists() else path)


def absolute(where: Location) -> Location:
    """A path from the root on, and without "..", so that each file has one name; links stay what they are called.

    Where ".." stands behind a link, the path without it would be another file: there it stays. An address is absolute already.
    """
    if isinstance(where, Address):
        return where
    plain = Path(os.path.abspath(where))  # noqa: PTH100 (follows no link)
    return plain if ".." not in where.parts or _are_one(plain, where) else where.absolute()


def _are_one(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except (OSError, ValueError):  # one is not there, or can't be
        return False


def named(where: Location) -> Path:
    """What names are made from: the path, or the address's words as one."""
    return where if isinstance(where, Path) else where.path


def below(folder: Location, name: str) -> Location:
    """A file or folder in a folder."""
    return folder.below(name) if isinstance(folder, Address) else folder / name


def is_file(where: Location) -> bool:
    """Whether a file is there; a folder is none."""
    if isinstance(where, Path):
        return where.is_file()
    with _system(where) as (system, path):
        return system.isfile(path)


def state_of(where: Location) -> FileState | None:
    """A file's state; of an address, and of what is not there, nothing is known."""
    if isinstance(where, Address):
        return None
    try:
        found = where.stat()
    except OSError:
        return None
    return FileState(found.st_size, found.st_mtime_ns)


def files_below(address: Address) -> list[Address]:
    """All files in a folder and its subfolders, sorted; none where no such folder is: to stores, that is an empty one."""
    with _system(address) as (system, path):
        system.invalidate_cache()
        return sorted(address.below(str(found)[len(path) :].strip("/")) for found in system.find(path) if found != path)


def read_bytes(address: Address) -> bytes:
    """A file's content."""
    with _system(address) as (system, path):
        return bytes(system.cat_file(path))  # type: ignore[arg-type] (a whole file comes as bytes)


def read_range(where: Location, start: int, end: int | None) -> bytes:
    """A file's bytes from `start` to before `end` (None: to its own); fewer where it ends earlier.

    Raises: InputError where there is no such file.
    """
    if isinstance(where, Address):
        with _system(where) as (system, path):
            return bytes(system.cat_file(path, start=start, end=end))  # type: ignore[arg-type] (a range comes as bytes)
    try:
        with where.open("rb") as file:
            file.seek(start)
            return file.read(-1 if end is None else end - start)
    except OSError as error:
        raise InputError(f"cannot read {where}: {error.strerror or error}; check the path and the rights.") from error


def write_bytes(address: Address, content: bytes) -> None:
    """Write a file, whole or not at all, as stores do."""
    with _system(address) as (system, path):
        system.makedirs(path.rpartition("/")[0], exist_ok=True)  # of stores that have folders
        system.pipe_file(path, content)


def remove(addresses: list[Address]) -> None:
    """Remove files."""
    for address in addresses:
        with _system(address) as (system, path):
            system.rm_file(path)


@contextmanager
def written_to(folder: Location) -> Iterator[Path]:
    """A folder of this machine to write files into: the path itself; to an address they are sent when all are written."""
    if isinstance(folder, Path):
        yield folder
        return
    with TemporaryDirectory() as name:
        yield Path(name)
        for file in sorted(path for path in Path(name).rglob("*") if path.is_file()):
            write_bytes(folder.below(file.relative_to(name).as_posix()), file.read_bytes())


@contextmanager
def _system(address: Address) -> "Iterator[tuple[AbstractFileSystem, str]]":
    """The store that an address names, and where in it.

    Raises: InputError for whatever goes wrong there: each store's client has exceptions of its own.
    """
    from fsspec.core import url_to_fs

    if "::" in address.path.as_posix():
        raise InputError(f"cannot reach {address}: stores take :: for the start of a further address; rename the file.")
    try:
        system, path = url_to_fs(str(address))
        yield system, str(path)
    except ImportError as error:
        raise InputError(f"cannot reach {address}: {error}. Add the extra: pip install 'unipan[cloud]'.") from error
    except Exception as error:
        raise InputError(f"cannot reach {address}: {error or type(error).__name__}; check the address and the rights.") from error
