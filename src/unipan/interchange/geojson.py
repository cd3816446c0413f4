"""GeoJSON: each segment as polygons with holes, along the edges of its pixels."""

from typing import Any

from unipan.errors import InputError
from unipan.ops.segment_runs import runs_of_each
from unipan.types import PanopticMap


def to_geojson(panoptic: PanopticMap) -> dict[str, Any]:
    """A FeatureCollection in pixels: x to the right and y down from the image's top left corner, corners at whole numbers.

    The parts of a segment that touch at a corner alone are polygons of their own. Needs the package shapely.
    """
    try:
        import shapely
    except ModuleNotFoundError as error:
        raise InputError("GeoJSON needs the package shapely: pip install 'unipan[interchange]'.") from error
    width, features = panoptic.ids.shape[1], []
    for one, runs in zip(panoptic.segments, runs_of_each(panoptic.ids, [one.id for one in panoptic.segments]), strict=True):
        y, x = divmod(runs.starts, width)
        outline = shapely.orient_polygons(shapely.union_all(shapely.box(x, y, x + runs.lengths, y + 1)).simplify(0))
        properties = {
            "id": one.id,
            "category_id": one.category_id,
            "name": one.name,
            "is_thing": one.is_thing,
            "is_crowd": one.is_crowd,
            "score": one.score,
        }
        features.append({"type": "Feature", "properties": properties, "geometry": shapely.geometry.mapping(outline)})
    return {"type": "FeatureCollection", "features": features}
