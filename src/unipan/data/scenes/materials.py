"""What procedural scenes are made of: their classes, and the colors in which each class is painted."""

from typing import NamedTuple

from unipan.classes import ClassInfo, ClassTable

SKY, MEADOW, SAND, WATER, SNAKE, TOOL, LOG = range(7)
"""Class indices."""

Rgb = tuple[int, int, int]


class Material(NamedTuple):
    """How a class is painted."""

    base: Rgb
    """Mean color, 0..255."""
    tint: Rgb
    """What one standard deviation of the class's texture adds to the base color."""


MATERIALS = {
    SKY: Material((142, 182, 224), (26, 20, 12)),
    MEADOW: Material((98, 146, 70), (22, 26, 12)),
    SAND: Material((208, 180, 128), (15, 14, 12)),
    WATER: Material((74, 126, 168), (16, 19, 19)),
    SNAKE: Material((206, 104, 62), (40, 52, 34)),
    TOOL: Material((142, 136, 156), (15, 15, 16)),
    LOG: Material((154, 108, 72), (20, 16, 12)),
}


def scene_classes() -> ClassTable:
    """Four stuff and three thing classes; the colors are those of drawn answers, not of the scenes themselves."""
    entries: dict[int, tuple[str, bool, Rgb, str]] = {
        SKY: ("sky", False, (126, 178, 240), "air"),
        MEADOW: ("meadow", False, (112, 178, 84), "ground"),
        SAND: ("sand", False, (236, 208, 140), "ground"),
        WATER: ("water", False, (44, 100, 190), "ground"),
        SNAKE: ("snake", True, (226, 84, 64), "animal"),
        TOOL: ("tool", True, (148, 84, 196), "object"),
        LOG: ("log", True, (140, 86, 44), "object"),
    }
    return ClassTable(
        tuple(
            ClassInfo(name=name, is_thing=is_thing, dataset_id=index + 1, color=color, supercategory=group)
            for index, (name, is_thing, color, group) in entries.items()
        )
    )
