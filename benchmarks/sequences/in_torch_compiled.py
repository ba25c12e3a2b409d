"""The problems on sequences in PyTorch with `torch.compile`; it does not compile `nn.LSTM` and `nn.GRU` themselves."""

from __future__ import annotations

from functools import partial

import torch

from benchmarks.sequences import in_torch

recurrent = partial(in_torch.recurrent, prepared=torch.compile)
language = partial(in_torch.language, prepared=torch.compile)
generation = partial(in_torch.generation, prepared=torch.compile)
encoding = partial(in_torch.encoding, prepared=torch.compile)
attention = partial(in_torch.attention, prepared=torch.compile)
