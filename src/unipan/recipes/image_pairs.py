"""Which prediction is of which image of the truth."""

from collections import Counter
from collections.abc import Sequence
from unicodedata import normalize

from unipan.data.coco_files import PanopticFile
from unipan.data.coco_json import listing, stem_below
from unipan.errors import InputError


def pair_images(truth: PanopticFile, predictions: PanopticFile) -> list[tuple[int, int]]:
    """For every image of the truth, in its order: its position and its prediction's."""
    if not truth.image_ids:
        raise InputError(f"{truth.path} has no annotations, so there is nothing to compare with; name the right file.")
    by_id = {image_id: position for position, image_id in enumerate(truth.image_ids)}
    exact = _owners([{name} - {""} for name in truth.image_names])
    by_image = _ByName([{name} - {""} for name in truth.image_names])
    by_any = _ByName([{png, name or png} for png, name in zip(truth.png_names, truth.image_names, strict=True)])
    found: dict[int, int] = {}
    fitting = [exact.get(name, by_image.find(name)) for name in predictions.image_names]
    names_fit = any(true is not None for true in fitting)
    columns = zip(predictions.image_ids, predictions.image_names, predictions.png_names, strict=True)
    for position, (image_id, name, png) in enumerate(columns):
        true = fitting[position]
        same_id = by_id.get(image_id)
        alike = same_id is not None and _is_tail(name, truth.image_names[same_id])  # of several so named, the one of its id
        if true is None and (alike or not (name and names_fit)):  # else its number, though the truth's too, is another image's
            true = by_any.find(png) if same_id is None else same_id
        if true in found:
            raise InputError(
                f"{predictions.path} has two predictions for the image {truth.image_ids[true]}: "
                f"{predictions.image_ids[found[true]]} and {image_id}; keep one."
            )
        if true is not None:
            found[true] = position
    absent = [position for position in by_id.values() if position not in found]
    if absent:
        _check_listed_once(truth, absent)
        first = f"{truth.png_names[absent[0]]} (image id {truth.image_ids[absent[0]]})"
        raise InputError(
            f"{predictions.path} lacks {len(absent)} of the {len(by_id)} images in {truth.path.name}, first {first}; "
            "predict them too (an image may have no segments), or take them out of the truth."
        )
    return [(position, found[position]) for position in by_id.values()]


def _check_listed_once(truth: PanopticFile, absent: Sequence[int]) -> None:
    """Refuse a name under several ids, of which no prediction of that name can be. absent: positions of no prediction."""
    times = Counter(truth.image_names)
    for name in (truth.image_names[position] for position in absent):
        if name and times[name] > 1:
            ids = [id for id, other in zip(truth.image_ids, truth.image_names, strict=True) if other == name]
            raise InputError(
                f"{name} stands in {truth.path.name} under the ids {listing(ids)}, so that nobody can tell which its prediction "
                "is of; remove all but one from the truth's images and annotations."
            )


class _ByName:
    """Positions by the names that each goes by, without suffixes, where a name is of one position only."""

    def __init__(self, names: Sequence[set[str]]) -> None:
        stems = [set(map(_stem, own)) for own in names]
        self._whole = _owners(stems)
        self._ends = _owners([{end for stem in own for end in _ends(stem)} for own in stems])

    def find(self, file_name: str) -> int | None:
        """Whose name this is, but for leading folders that one of the two lacks."""
        stem = _stem(file_name)
        return next((self._whole[end] for end in _ends(stem) if end in self._whole), self._ends.get(stem))


def _is_tail(name: str, other: str) -> bool:
    """Whether two names, without suffixes, are one but for leading folders."""
    stem, other_stem = _stem(name), _stem(other)
    return stem in _ends(other_stem) or other_stem in _ends(stem)


def _stem(name: str) -> str:
    """Without the suffix, and in one Unicode form: systems write an accent as a sign of its own, or not."""
    return normalize("NFC", stem_below(name))


def _ends(stem: str) -> list[str]:
    """a/b/c, b/c, c."""
    parts = stem.split("/")
    return ["/".join(parts[first:]) for first in range(len(parts))]


def _owners(keys: Sequence[set[str]]) -> dict[str, int]:
    owners: dict[str, set[int]] = {}
    for position, own in enumerate(keys):
        for key in own:
            owners.setdefault(key, set()).add(position)
    return {key: next(iter(positions)) for key, positions in owners.items() if len(positions) == 1}
