"""Composition of the real-time set-up: what the configuration asks of the system.

Owns: nothing else. A file of its own, since the doctor asks too and may not load a model.
"""

from edge_agent.config import LoopConfig
from edge_agent.service.realtime import Wishes


def wishes_of(loop: LoopConfig) -> Wishes:
    return Wishes(loop.realtime_priority, loop.lock_memory, loop.cpus)
