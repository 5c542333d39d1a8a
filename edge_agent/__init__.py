"""Edge-autonomy runtime: a learned policy, inside a hard-coded envelope, on a small board."""

__version__ = "0.1.0"
