"""The networks on images in PyTorch, eager, with channels last in memory: one line for the user, and often faster."""

from __future__ import annotations

from functools import partial

import torch

from benchmarks import with_torch

network = partial(with_torch.network, order=torch.channels_last)
