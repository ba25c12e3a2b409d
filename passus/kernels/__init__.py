"""Computations on arrays that are worth a compiled kernel; each has a reference in plain array code."""

from passus import exports as _exports
from passus.kernels.dispatch import start_using as start_using
from passus.kernels.threads import get_num_threads as get_num_threads
from passus.kernels.threads import set_num_threads as set_num_threads
from passus.kernels.warming import warm_up as warm_up

_exports.export_names(__name__)
