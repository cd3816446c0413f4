"""Panoptic maps in the forms of other tools, pixel by pixel: a file for each form, which imports what it needs when used."""

from unipan.data.coco_writer import Entry, write_panoptic
from unipan.interchange.coco_instances import to_coco_instances
from unipan.interchange.geojson import to_geojson
from unipan.interchange.label_studio import to_label_studio
from unipan.interchange.labelme import to_labelme
from unipan.interchange.supervision import to_supervision
from unipan.interchange.transformers import from_transformers, to_transformers

__all__ = [
    "Entry",
    "from_transformers",
    "to_coco_instances",
    "to_geojson",
    "to_label_studio",
    "to_labelme",
    "to_supervision",
    "to_transformers",
    "write_panoptic",
]
