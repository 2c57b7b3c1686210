"""The proving ground: manoeuvres on an empty plane, each measured against a closed form."""
