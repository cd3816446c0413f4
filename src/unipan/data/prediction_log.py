"""Predictions as they come: a line an image, from which the JSON in COCO's panoptic format is made. Memory stays flat."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from unipan.addresses import Location
from unipan.classes import ClassTable
from unipan.data.coco_json import stem_below
from unipan.errors import InputError
from unipan.files import replace_atomically
from unipan.ops.images import is_file


class PredictionLog:
    """A file of lines: what the answers follow from, then each image's entries. A kill leaves whole lines; use it in a `with`."""

    def __init__(self, path: Path, origin: Mapping[str, Any], *, resume: bool, called: str = "") -> None:
        """origin: what the answers follow from. resume: go on behind the lines that are there. called: in messages.

        Raises: InputError where the file can't be written, or its lines are of another origin.
        """
        self.path, self.called = path, called or str(path)
        self.sources: dict[str, str] = {}
        """The images done, by the name that they go by: which file each was."""
        self._stems: dict[str, str] = {}
        self._ids: set[int | str] = set()
        self.segments = 0
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

    def has(self, name: str, source: Location) -> bool:
        """Whether the image is done.

        Raises: InputError where another one of its name is.
        """
        known, same_stem = self.sources.get(name), self._stems.get(stem_below(name), name)
        if same_stem != name:
            raise InputError(f"{self.called} holds {same_stem}, whose files {name} would overwrite; name another --out.")
        if known not in (None, str(source)):
            raise InputError(f"{self.called} holds {known} under the name {name}, which {source} is to get; name another --out.")
        return known is not None

    def free_id(self, id: int | str, otherwise: int | str | None) -> int | str:
        """The id for a further image, or the other one, if any, where an image that is done has the first.

        Raises: InputError where there is none left.
        """
        free = next((one for one in (id, otherwise) if one is not None and one not in self._ids), None)
        if free is None:
            raise InputError(f"{self.called} holds an image of the id {id}, which another is to get; name another --out.")
        return free

    def add(self, source: Location, image: Mapping[str, Any], annotation: Mapping[str, Any]) -> None:
        """An image is done; `source` is its file."""
        self._write({"source": str(source), "image": image, "annotation": annotation})
        self._note(str(source), image, annotation)

    def write_json(self, path: Path, classes: ClassTable) -> None:
        """Write all images of all lines, in the lines' order, as one JSON."""
        replace_atomically(path, lambda temporary: self._copy(temporary, classes))

    def _copy(self, path: Path, classes: ClassTable) -> None:
        with path.open("w") as out:
            for opening, key in (('{"images": [', "image"), ('], "annotations": [', "annotation")):
                out.write(opening)
                self._file.seek(0)
                next(self._file)
                for index, line in enumerate(self._file):
                    out.write((", " if index else "") + json.dumps(json.loads(line)[key]))
            out.write(f'], "categories": {json.dumps(classes.to_categories())}}}')

    def _note(self, source: str, image: Mapping[str, Any], annotation: Mapping[str, Any]) -> None:
        self.sources[image["file_name"]] = source
        self._stems[stem_below(image["file_name"])] = image["file_name"]
        self._ids.add(image["id"])
        self.segments += len(annotation["segments_info"])

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
                if end:
                    self._note(entry["source"], entry["image"], entry["annotation"])
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
