"""From other formats to the COCO panoptic layout."""
