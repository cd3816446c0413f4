"""The labels of labelme's files, which people type."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from typing import Any
from unicodedata import normalize

from unipan.data.coco_json import fault_of, listing
from unipan.errors import InputError
from unipan.tools.convert.labelme_shapes import LabelmeShape


def labels_of(shapes: Sequence[LabelmeShape | Any]) -> set[str]:
    """The labels of shapes, also of those that are malformed: a fault of its points is none of its label. A blank is no label."""
    sound = {shape.label for shape in shapes if isinstance(shape, LabelmeShape)}
    malformed = {shape["label"] for shape in shapes if isinstance(shape, dict) and isinstance(shape.get("label"), str)}
    return {label for label in sound | malformed if label.strip()}


def malformed_shapes(shapes: Sequence[LabelmeShape | Any]) -> list[str]:
    """What is wrong with each shape that can't be read."""
    return [fault_of(LabelmeShape, shape) for shape in shapes if not isinstance(shape, LabelmeShape)]


def check_spellings(labels: Iterable[str], named: Collection[str]) -> None:
    """Refuse labels that a person reads as one and that would become several classes, unless all of them are named on purpose.

    Raises: InputError that shows the spellings of each.
    """
    alike = defaultdict[str, list[str]](list)
    for label in sorted(labels):
        alike[_as_read(label)].append(label)
    doubtful = [spellings for spellings in alike.values() if len(spellings) > 1 and not set(spellings) <= set(named)]
    if doubtful:
        texts = [" and ".join(map(shown_label, spellings)) for spellings in doubtful]
        raise InputError(
            f"the labels {listing(texts)} differ only in case, in spaces around them or in Unicode form, and would be different "
            "classes; write them alike in the files. If they are meant, list all classes with --classes, or name each after "
            "--things or --ignore."
        )


def _as_read(label: str) -> str:
    return normalize("NFC", label.strip().lower())  # casefold would make Maße of Masse


def shown_label(label: str) -> str:
    """A label for a message, as Python writes it; a letter made of several signs by their numbers."""
    return repr(label) if normalize("NFC", label) == label else ascii(label)
