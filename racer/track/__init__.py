"""The road: geometry, file formats and the position of a point along it. SI units, no car."""

from racer.track.geometry import Track, TrackPosition
from racer.track.loading import load_track

__all__ = ["Track", "TrackPosition", "load_track"]
