"""Predictions as they come: a line an image, from which the JSON in COCO's panoptic format is made. Memory stays flat."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, Self

from unipan.addresses import FileState, Location, absolute, location_of, state_of
from unipan.classes import ClassTable
from unipan.data.coco_json import stem_below
from unipan.errors import InputError
from unipan.files import replace_atomically
from unipan.ops.images import is_file


class DoneImage(NamedTuple):
    """An image that is done."""

    name: str  # that it goes by
    id: int | str
    segments: int
    line: int  # of the lines of images
    state: FileState | None  # of its file, as it was predicted; None where nothing is known


def names_logged(path: Path) -> list[str]:
    """The images that a log's whole lines name, once each; none where there is no log."""
    names: dict[str, None] = {}
    if is_file(path):
        with path.open("rb") as file:
            for line in file:
                with suppress(ValueError, KeyError, TypeError):  # the first line, one that was cut, or a file of another's
                    names[json.loads(line)["image"]["file_name"]] = None
    return list(names)


class PredictionLog:
    """A file of lines: what the answers follow from, then each image's entries. A kill leaves whole lines; use it in a `with`."""

    def __init__(self, path: Path, origin: Mapping[str, Any], *, resume: bool, called: str = "") -> None:
        """origin: what the answers follow from. resume: go on behind the lines that are there. called: in messages.

        Raises: InputError where the file can't be written, or its lines are of another origin.
        """
        self.path, self.called = path, called or str(path)
        self.done: dict[str, DoneImage] = {}
        """By the file that each was; of two lines of one file the later one counts."""
        self.forgotten: dict[str, DoneImage] = {}
        """What was done, and is not since its file is another or its results are gone."""
        self._taken: dict[str, tuple[str, str]] = {}
        """Stems of files that are written -> the image's name and its file."""
        self._ids: set[int | str] = set()
        self._lines = 0
        resume = resume and is_file(path)
        try:
            self._file = path.open("r+b" if resume else "w+b")
        except OSError as error:
            raise InputError(f"cannot write {path}: {error.strerror}. Name another --out.") from error
        if resume:
            self._read(origin)
        else:
            self._write({"origin": origin})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    @property
    def segments(self) -> int:
        """Of all images that are done."""
        return sum(image.segments for image in self.done.values())

    def is_changed(self, source: Location) -> bool:
        """Whether a file that is done is, as far as that is known, no longer what was predicted."""
        before, now = self.done[str(source)].state, state_of(source)
        return before is not None and now is not None and before != now

    def forget(self, source: Location) -> DoneImage:
        """Count an image as not done until it is added again, by a later call too; its name and its id stay its own."""
        self._write({"forgotten": str(source)})
        return self._forget(str(source))

    def _forget(self, source: str) -> DoneImage:
        self._lines += 1
        self.forgotten[source] = self.done.pop(source)
        return self.forgotten[source]

    def check_free(self, name: str, source: Location) -> None:
        """Refuse a further image whose files would be those of another. Raises: InputError."""
        taken = self._taken.get(stem_below(name))
        if taken is None:
            return
        known_name, known = taken
        if known_name != name:
            raise InputError(f"{self.called} holds {known_name}, whose files {name} would overwrite; name another --out.")
        raise InputError(f"{self.called} holds {known} under the name {name}, which {source} is to get; name another --out.")

    def free_id(self, id: int | str, otherwise: int | str | None) -> int | str:
        """The id for a further image, or the other one, if any, where an image that is done has the first.

        Raises: InputError where there is none left.
        """
        free = next((one for one in (id, otherwise) if one is not None and one not in self._ids), None)
        if free is None:
            raise InputError(f"{self.called} holds an image of the id {id}, which another is to get; name another --out.")
        return free

    def add(self, source: Location, state: FileState | None, image: Mapping[str, Any], annotation: Mapping[str, Any]) -> None:
        """An image is done; `source` is its file, and `state` what this was before it was read."""
        known = {} if state is None else {"state": state._asdict()}
        self._write({"source": str(source), **known, "image": image, "annotation": annotation})
        self._note(str(source), state, image, annotation)

    def write_json(self, path: Path, classes: ClassTable) -> None:
        """Write all images that are done, in their lines' order, as one JSON."""
        replace_atomically(path, lambda temporary: self._copy(temporary, classes))

    def _copy(self, path: Path, classes: ClassTable) -> None:
        wanted = {image.line for image in self.done.values()}
        with path.open("w") as out:
            for opening, key in (('{"images": [', "image"), ('], "annotations": [', "annotation")):
                out.write(opening)
                self._file.seek(0)
                next(self._file)
                lines = (line for number, line in enumerate(self._file) if number in wanted)
                for index, line in enumerate(lines):
                    out.write((", " if index else "") + json.dumps(json.loads(line)[key]))
            out.write(f'], "categories": {json.dumps(classes.to_categories())}}}')

    def _note(self, source: str, state: FileState | None, image: Mapping[str, Any], annotation: Mapping[str, Any]) -> None:
        name = image["file_name"]
        self.forgotten.pop(source, None)
        self.done[source] = DoneImage(name, image["id"], len(annotation["segments_info"]), self._lines, state)
        self._taken[stem_below(name)] = (name, source)
        self._ids.add(image["id"])
        self._lines += 1

    def _write(self, line: Mapping[str, Any]) -> None:
        try:
            self._file.seek(0, 2)
            self._file.write(json.dumps(line).encode() + b"\n")
            self._file.flush()
        except OSError as error:
            raise InputError(f"cannot write {self.called}: {error.strerror}. See that the disk has room.") from error

    def _read(self, origin: Mapping[str, Any]) -> None:
        """Take up what is done; a line that a kill cut is cut off."""
        end = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            try:
                entry = json.loads(line)
                same = end or entry["origin"] == json.loads(json.dumps(origin))
                if "forgotten" in entry:
                    self._forget(_one_name(entry["forgotten"]))
                elif end:
                    state = FileState(**entry["state"]) if "state" in entry else None
                    self._note(_one_name(entry["source"]), state, entry["image"], entry["annotation"])
            except (ValueError, KeyError, TypeError) as error:
                raise InputError(f"{self.called} is damaged; leave --skip-done out, and all is predicted again.") from error
            if not same:
                raise InputError(
                    f"{self.called} holds answers of another run or other settings; name another --out, or leave --skip-done out."
                )
            end += len(line)
        self._file.truncate(end)
        if not end:
            self._write({"origin": origin})


def _one_name(source: str) -> str:
    """As `add` writes it now; earlier versions wrote paths with ".." as they came."""
    return str(absolute(location_of(source)))
