"""Models: layers that stand for themselves, and can be drawn and summarised."""

from passus.models.efficientnet import EfficientNetLite0 as EfficientNetLite0
from passus.models.mlp import MLP as MLP
from passus.models.mobilenet import MobileNetV2 as MobileNetV2
from passus.models.model import Model as Model
from passus.models.sequential import Sequential as Sequential

__all__ = ["EfficientNetLite0", "MLP", "MobileNetV2", "Model", "Sequential"]
