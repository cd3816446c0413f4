"""Images of rare classes more often in training: the repeat factors of LVIS (Gupta et al., CVPR 2019)."""

from array import array

import numpy as np
from numpy.typing import NDArray

from unipan.console import counted, logger
from unipan.data.dataset import ListsClasses, PanopticDataset, Part
from unipan.errors import InputError

ROUNDS = 2
"""An epoch shows each image at least so often: factors are rounded to halves (our choice; LVIS rounds at random)."""


def repeated(dataset: ListsClasses, threshold: float) -> PanopticDataset:
    """The images, those with a class that fewer than this share of them have up to sqrt(threshold / share) times as often.

    An image whose classes can't be read is taken as often as most: its time to be named is when it is to be learnt from.
    """
    length = len(dataset)
    pairs = [(i, c) for i in counted(range(length), "counting classes", length) for c in _classes_of(dataset, i)]
    by_pair = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    factors = repeat_factors(by_pair[:, 0], by_pair[:, 1], length, threshold)
    counts = np.rint(ROUNDS * factors).astype(np.int64)
    if (counts == ROUNDS).all():
        return dataset
    logger.info(
        f"{(counts > ROUNDS).sum()} of {length} images come more often, for their rarer classes, up to {factors.max():.1f} times "
        f"(data.repeat_threshold {threshold:g})."
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


def _classes_of(dataset: ListsClasses, index: int) -> set[int]:
    try:
        return dataset.classes_of(index)
    except InputError:
        return set()
