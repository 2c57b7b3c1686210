"""System identification: a real car's latency, gains and grip from a log of its driving."""
