"""Writing so that a killed process, a full disk or a power cut leaves the whole old file or the whole new one."""

import hashlib
import json
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from unipan.errors import InputError

TEMPORARY = ".tmp"
"""End of the names that files have while they are written; such names begin with a dot."""
SAFETENSORS_TEMPORARY = ".tmp??????"
"""What safetensors 0.8 writes beside the file that it is asked for, and then moves over it; a kill in between leaves it."""


_ADDRESS = re.compile(r"([A-Za-z][\w.+-]+):/(/?)(.*)", re.DOTALL)
_IN_MEMORY = re.compile(r"(?:^|::)memory://")
_ON_HUB = re.compile(r"hf:[^/]+/[^/]+")


def check_here(path: str | Path) -> None:
    """Refuse an address where results go to a file or a folder of this machine: it would become a folder of the name s3: here.

    Likewise ~, which would be a folder of that name.

    A path has kept one slash of its two, and may be one of a folder that is really called s3: here.

    Raises: InputError.
    """
    text, of_text = str(path), isinstance(path, str)
    check_home(text)
    if _ON_HUB.fullmatch(text):
        raise InputError(f"{text} is a name on the Hub, and these results go to a path; name one. push_to_hub uploads a run.")
    found = _ADDRESS.fullmatch(text)
    if found is None or (not found[2] and (of_text or Path(f"{found[1]}:").is_dir())):
        return
    scheme, rest = found[1], found[3]
    if scheme in ("file", "local"):
        here = rest if of_text else f"/{rest}"
        raise InputError(f"{scheme}://{here} is an address, and these results go to a path; leave out {scheme}://, as in {here}.")
    raise InputError(
        f"{scheme}://{rest} is an address, and these results go to this machine alone; name a path. What takes addresses is "
        "--out of `unipan predict` and `unipan convert shards`."
    )


def check_lasting(where: object) -> None:
    """Refuse an address in fsspec's store in memory where files must outlast a process, or be found by others.

    Raises: InputError.
    """
    if _IN_MEMORY.search(str(where)):
        raise InputError(f"{where} lies in one process's memory, and ends with it; name a folder, or the address of a store.")


def check_home(text: str) -> None:
    """Refuse ~ and ~PERSON for a home folder, unless a folder of that name is here. Raises: InputError."""
    home = os.path.expanduser(text)  # noqa: PTH111 (Path's raises where there is no such person)
    if home != text and not Path(*Path(text).parts[:1]).exists():
        raise InputError(
            f"{text} begins with ~, which is the home folder to a shell alone, not behind = or in a file; name {home}."
        )


def replace_atomically(path: Path, write: Callable[[Path], object], *, durable: bool = True) -> None:
    """Call `write(temporary_path)`, flush it to the disk and move it over `path`; a failure leaves `path` as it was.

    durable: whether a power cut, too, leaves the old file or the new one, which takes tens of milliseconds.
    A link at `path` is replaced, not followed; one at the temporary name, which only another's hand can have put there, goes.
    """
    check_here(path)
    temporary = path.with_name(f".{path.name}{TEMPORARY}")
    try:
        temporary.unlink(missing_ok=True)
        temporary.touch()
        mode = temporary.stat().st_mode
        write(temporary)
        temporary.chmod(mode)  # as every new file's: safetensors lets the owner alone read
        if durable:
            flush(temporary)
        temporary.replace(path)
        if durable:
            flush(path.parent)
    except (OSError, SafetensorError) as error:  # safetensors tells a full disk by its own exception
        reason = getattr(error, "strerror", None) or error
        is_full = any(word in str(reason) for word in ("space", "too large", "quota"))
        remedy = "See that the disk has room." if is_full else "Check the name and the rights."
        raise InputError(f"cannot write {path}: {reason}. What stood there before is untouched. {remedy}") from error
    finally:
        if os.path.isfile(temporary):  # noqa: PTH113 (to Path.is_file, a name that is too long is an error)
            temporary.unlink()


def check_writable(path: Path, *, new_folders: bool = False) -> None:
    """Refuse before long work what `replace_atomically` would refuse after it, as far as rights tell.

    new_folders: whether folders that are missing will be made. Raises: InputError.
    """
    check_here(path)
    if os.path.isdir(path):  # noqa: PTH112 (to Path.is_dir, a name that is too long is an error)
        raise InputError(f"cannot write {path}: it is a folder. Name a file in it.")
    folders = [one for one in path.absolute().parents if os.path.exists(one)]  # noqa: PTH110 (likewise)
    if folders[0] != path.absolute().parent and not new_folders:
        raise InputError(f"cannot write {path}: there is no folder {path.parent}. Make it, or name another.")
    if not os.access(folders[0], os.W_OK):
        raise InputError(f"cannot write {path}: no file can be written in {folders[0]}. Check the rights, or take a copy of it.")


def write_json(path: Path, value: Any, *, indent: int | None = 2) -> None:
    """Write JSON: readers see the old file or the new one, never a half."""
    replace_atomically(path, lambda temporary: temporary.write_text(json.dumps(value, indent=indent) + "\n"))


def file_facts(path: Path) -> dict[str, str]:
    """A file by its name and its content. Raises: InputError where it can't be read."""
    try:
        with path.open("rb") as file:
            return {"name": path.name, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}; check the path.") from error


def make_folder(path: Path) -> None:
    """Make a folder for results, unless it is there."""
    check_here(path)
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {path}: {error.strerror or error}. Name another --out.") from error


def new_numbered_folder(parent: Path, stem: str) -> Path:
    """Make PARENT/STEM-N with N one above those there; of two that ask at once each gets its own."""
    make_folder(parent)
    taken = [path.name.removeprefix(f"{stem}-") for path in parent.glob(f"{stem}-*")]
    number = max((int(name) for name in taken if name.isdecimal()), default=0)
    while True:
        number += 1
        path = parent / f"{stem}-{number}"
        try:
            path.mkdir()
        except FileExistsError:
            continue
        except OSError as error:
            raise InputError(f"cannot make the folder {path}: {error.strerror or error}. Name another --out.") from error
        return path


def remove_if_empty(folder: Path) -> None:
    """Remove a folder that nothing was put into."""
    with suppress(OSError):
        folder.rmdir()


def flush(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(*folders: Path) -> None:
    """Remove the temporary files that a killed process left in folders."""
    for folder in folders:
        for path in (*folder.glob(f".*{TEMPORARY}"), *folder.glob(SAFETENSORS_TEMPORARY)):
            if not path.is_dir():
                path.unlink(missing_ok=True)
