"""Models: layers that stand for themselves, and can be drawn and summarised."""

from passus.models.mlp import MLP as MLP
from passus.models.model import Model as Model
from passus.models.sequential import Sequential as Sequential

__all__ = ["MLP", "Model", "Sequential"]
