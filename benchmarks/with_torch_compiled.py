"""The problems in PyTorch with `torch.compile`, which compiles the forward and backward passes of each model."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from benchmarks import with_torch

chain = partial(with_torch.chain, prepared=torch.compile)
perceptron = partial(with_torch.perceptron, prepared=torch.compile)
network: Callable = partial(with_torch.network, prepared=torch.compile, order=torch.channels_last)
