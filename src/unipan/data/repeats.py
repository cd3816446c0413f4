"""Images of rare classes more often in training: the repeat factors of LVIS (Gupta et al., CVPR 2019)."""

from array import array
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from unipan.choices import Faulty
from unipan.console import counted, logger, warn
from unipan.data.dataset import ListsClasses, PanopticDataset, Part
from unipan.errors import InputError, plural

ROUNDS = 2
"""An epoch shows each image at least so often: factors are rounded to halves (our choice; LVIS rounds at random)."""
THREADS = 16
"""An annotation in a bucket is waited for."""


def repeated(dataset: ListsClasses, threshold: float, faulty: Faulty = "stop") -> PanopticDataset:
    """The images, those with a class that fewer than this share of them have up to sqrt(threshold / share) times as often.

    faulty: what an annotation that can't be read does: end it, or be named and leave its image as often as most.
    Raises: InputError where an annotation can't be read.
    """
    classes_of, length = _classes(dataset, faulty), len(dataset)
    pairs = np.array([(image, c) for image, classes in enumerate(classes_of) for c in classes], dtype=np.int64).reshape(-1, 2)
    factors = repeat_factors(pairs[:, 0], pairs[:, 1], length, threshold)
    counts = np.rint(ROUNDS * factors).astype(np.int64)
    if (counts == ROUNDS).all():
        return dataset
    logger.info(
        f"{(counts > ROUNDS).sum()} of {length} images come more often, for their rarer classes, up to "
        f"{counts.max() / ROUNDS:g} times (data.repeat_threshold {threshold:g})."
    )
    return Part(dataset, array("q", np.repeat(np.arange(length), counts).tolist()))


def repeat_factors(images: NDArray[np.int64], classes: NDArray[np.int64], length: int, threshold: float) -> NDArray[np.float64]:
    """(length,) of each image the largest sqrt(threshold / share) of its classes, at least 1; share: of images with the class.

    images, classes: (p,) each pair of an image and a class that it has, once.
    """
    share = np.bincount(classes) / length
    factors = np.ones(length)
    np.maximum.at(factors, images, np.sqrt(threshold / share[classes]))
    return factors


def _classes(dataset: ListsClasses, faulty: Faulty) -> list[set[int]]:
    """Those of each image; none where its annotation can't be read."""
    complaints: list[str] = []

    def classes_of(index: int) -> set[int]:
        try:
            return dataset.classes_of(index)
        except InputError as error:
            if faulty == "stop":
                raise InputError(f"{error} Mend the data, or leave faulty images out with --data.faulty skip.") from error
            complaints.append(str(error))
            return set()

    length = len(dataset)
    with ThreadPoolExecutor(THREADS) as pool:
        classes = list(counted(pool.map(classes_of, range(length)), "counting classes", length))
    if complaints:
        warn("not counted:", f"the classes of {plural(len(complaints), 'image')} (data.repeat_threshold); {min(complaints)}")
    return classes
