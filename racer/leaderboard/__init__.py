"""The leaderboard: seasons, stored submissions, their ranking and verification, and pages."""
