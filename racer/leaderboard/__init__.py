"""The leaderboard: seasons, the store of what was judged, and the standing."""
