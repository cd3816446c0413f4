"""GeoJSON: each segment as polygons with holes, along the edges of its pixels."""

from typing import Any

from unipan.ops.outlines import Polygon, outlines
from unipan.types import PanopticMap


def to_geojson(panoptic: PanopticMap) -> dict[str, Any]:
    """A FeatureCollection in pixels: x to the right and y down from the image's top left corner, corners at whole numbers.

    The parts of a segment that touch at a corner alone are polygons of their own.
    """
    polygons, features = outlines(panoptic.ids), []
    for one in panoptic.segments:
        properties = {
            "id": one.id,
            "category_id": one.category_id,
            "name": one.name,
            "is_thing": one.is_thing,
            "is_crowd": one.is_crowd,
            "score": one.score,
        }
        features.append({"type": "Feature", "properties": properties, "geometry": _geometry(polygons[one.id])})
    return {"type": "FeatureCollection", "features": features}


def _geometry(polygons: list[Polygon]) -> dict[str, Any]:
    closed = [[[*ring, ring[0]] for ring in polygon] for polygon in polygons]
    if len(closed) == 1:
        return {"type": "Polygon", "coordinates": closed[0]}
    return {"type": "MultiPolygon", "coordinates": closed}
