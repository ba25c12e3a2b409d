"""The problems in passus with `passus.compile`, which records each step or model and runs the record from then on."""

from __future__ import annotations

from functools import partial

import passus
from benchmarks import with_passus

chain = partial(with_passus.chain, prepared=passus.compile)
perceptron = partial(with_passus.perceptron, prepared=passus.compile)
network = partial(with_passus.network, prepared=passus.compile, predicting=passus.compile)
