"""Validation of a car's dynamics: manoeuvres on an empty plane, each against a closed form."""
