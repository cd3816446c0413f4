"""Layers whose output rows stand for classes, and rows of another class table put in their place."""

from collections.abc import Mapping
from typing import NamedTuple

from torch import Tensor


class ClassRows(NamedTuple):
    """The rows of one layer's weight and bias, classes in the table's order."""

    each: int  # rows of a class
    background: bool  # whether those of the background come first


def mixed_rows(own: Tensor, given: Tensor, each: int, blocks: Mapping[int, int]) -> Tensor:
    """`own` with the row blocks of the classes that both know.

    As given where rows are of another shape, or where one of the two has a single block, which is no class's (`class_agnostic`).
    each: rows of a class. blocks: our block -> the given one.
    """
    if given.shape[1:] != own.shape[1:] or each in (len(own), len(given)):
        return given
    mixed = own.clone().unflatten(0, (-1, each))
    source = given.to(own).unflatten(0, (-1, each))
    for mine, its in blocks.items():
        mixed[mine] = source[its]
    return mixed.flatten(0, 1)
