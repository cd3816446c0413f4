"""Cityscapes' names and numbers: its 19 evaluated classes, and how its tools number classes and images."""

from dataclasses import replace
from pathlib import Path

from unipan.classes import ClassInfo, ClassTable

LABEL_IDS = range(34)
"""Labels that occur in its files; those that are no class below are not evaluated, so void."""

CITYSCAPES = ClassTable(
    tuple(
        ClassInfo(name=name, is_thing=label_id >= 24, dataset_id=label_id, color=color, supercategory=group)
        for label_id, name, group, color in (
            (7, "road", "flat", (128, 64, 128)),
            (8, "sidewalk", "flat", (244, 35, 232)),
            (11, "building", "construction", (70, 70, 70)),
            (12, "wall", "construction", (102, 102, 156)),
            (13, "fence", "construction", (190, 153, 153)),
            (17, "pole", "object", (153, 153, 153)),
            (19, "traffic light", "object", (250, 170, 30)),
            (20, "traffic sign", "object", (220, 220, 0)),
            (21, "vegetation", "nature", (107, 142, 35)),
            (22, "terrain", "nature", (152, 251, 152)),
            (23, "sky", "sky", (70, 130, 180)),
            (24, "person", "human", (220, 20, 60)),
            (25, "rider", "human", (255, 0, 0)),
            (26, "car", "vehicle", (0, 0, 142)),
            (27, "truck", "vehicle", (0, 0, 70)),
            (28, "bus", "vehicle", (0, 60, 100)),
            (31, "train", "vehicle", (0, 80, 100)),
            (32, "motorcycle", "vehicle", (0, 0, 230)),
            (33, "bicycle", "vehicle", (119, 11, 32)),
        )
    )
)
"""Dataset ids are label ids, the numbers that the official evaluation reads; a class's index is its train id."""


def with_label_ids(classes: ClassTable) -> ClassTable:
    """Cityscapes' classes numbered by label id, where they are numbered by train id; any other table as it is.

    The official JSON exists in both forms, told apart by these numbers, but its evaluation reads label ids only.
    """
    train_ids = [(info.name, index) for index, info in enumerate(CITYSCAPES.classes)]
    if [(info.name, info.dataset_id) for info in classes.classes] != train_ids:
        return classes
    pairs = zip(classes.classes, CITYSCAPES.classes, strict=True)
    return ClassTable(tuple(replace(info, dataset_id=official.dataset_id) for info, official in pairs))


def image_id_of(file_name: str) -> str:
    """The id that a predicted image gets: its name without suffix and, for Cityscapes, what follows CITY_SEQUENCE_FRAME."""
    return str(Path(file_name).with_suffix("")).removesuffix("_leftImg8bit")


def image_name(file_name: str) -> str:
    """The image that the official JSON means, which writes CITY_SEQUENCE_FRAME_gtFine_leftImg8bit.png."""
    return file_name.replace("_gtFine_leftImg8bit.", "_leftImg8bit.")
