"""Cycle model: what a program costs on the accelerator, from its shapes and its non-zero maps; see docs/cycle-model.md.

>>> from sqdm.sim.cycles import Labels, layer_cycles, program_cycles
"""

from sqdm.sim.cycles.labels import Labels
from sqdm.sim.cycles.model import Prediction, layer_cycles, program_cycles, total

__all__ = ["Labels", "Prediction", "layer_cycles", "program_cycles", "total"]
