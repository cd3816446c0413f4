"""The log of predictions where files can't be added to, as in a bucket: pieces of it, each a file of some lines."""

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from unipan.addresses import Address, FileState, Location, files_below, read_bytes, remove, write_bytes
from unipan.data.prediction_log import PredictionLog
from unipan.errors import InputError

PIECE_IMAGES = 64
"""Lines of a piece: a kill loses at most so many images, which are predicted again."""


class AddressLog(PredictionLog):
    """Its pieces bear the number of the bytes before them; their content in this order is what a plain log holds."""

    def __init__(self, folder: Address, origin: Mapping[str, Any], *, resume: bool) -> None:
        self._own = TemporaryDirectory()
        self._pieces, self._unsent = folder, 0
        known = files_below(folder)
        path = Path(self._own.name) / "panoptic.jsonl"
        if resume and known:
            _join(known, path)
        else:
            remove(known)
        super().__init__(path, origin, resume=resume, called=folder)
        self._sent = path.stat().st_size if resume and known else 0

    def add(self, source: Location, state: FileState | None, image: Mapping[str, Any], annotation: Mapping[str, Any]) -> None:
        super().add(source, state, image, annotation)
        self._unsent += 1
        if self._unsent >= PIECE_IMAGES:
            self._send()

    def __exit__(self, *fault: object) -> None:
        self._send()
        super().__exit__(*fault)
        self._own.cleanup()

    def _send(self) -> None:
        self._unsent = 0
        with self.path.open("rb") as file:
            file.seek(self._sent)
            content = file.read()
        if content:
            write_bytes(self._pieces.below(f"{self._sent:015}.jsonl"), content)
            self._sent += len(content)


def _join(pieces: list[Address], path: Path) -> None:
    with path.open("wb") as log:
        for piece in pieces:
            if piece.path.name != f"{log.tell():015}.jsonl":
                raise InputError(
                    f"{piece} does not follow the piece before it; leave --skip-done out, and all is predicted again."
                )
            log.write(read_bytes(piece))
