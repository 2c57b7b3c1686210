"""Imitation learning: a policy learns the actions of another driver."""
