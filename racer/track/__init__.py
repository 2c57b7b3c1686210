"""Where the road is: geometry, formats and the place of a point along it. SI units, no car."""

from racer.track.geometry import Place, Track
from racer.track.loading import load_track

__all__ = ["Place", "Track", "load_track"]
