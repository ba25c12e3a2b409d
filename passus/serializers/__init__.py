"""Weights and checkpoints in files: written atomically, verified before anything is changed, never unpickled."""

from passus import exports as _exports
from passus.serializers.checkpoint import load_checkpoint as load_checkpoint
from passus.serializers.checkpoint import read_checkpoint as read_checkpoint
from passus.serializers.checkpoint import save_checkpoint as save_checkpoint
from passus.serializers.onnx_weights import load_onnx_weights as load_onnx_weights
from passus.serializers.torch_files import load_torch as load_torch
from passus.serializers.torch_recurrent import recurrent_from_torch as recurrent_from_torch
from passus.serializers.torch_recurrent import recurrent_to_torch as recurrent_to_torch
from passus.serializers.weights import read_weights as read_weights
from passus.serializers.weights import write_weights as write_weights

_exports.export_names(__name__)
