import dataclasses

import numpy as np

from tests.table import Row, bad, case, integers, normal, uniform
from tests.table.arrays.extremes import distinct  # Derivatives for nearly equal numbers are steep.

FIXED = {"broadcast": "gamma and beta must fit", "negative axis": "the axes follow from the shapes"}


def standardized(x, axes, eps):
    return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)


LARGEST = {"relu": np.inf, "relu6": 6}


def batch_norm(x, gamma, beta, mean, var, decay=0.9, eps=2e-5, activation=None):
    shape = (-1, *[1] * (x.ndim - 2))
    y = standardized(x, (0, *range(2, x.ndim)), eps) * gamma.reshape(shape) + beta.reshape(shape)
    return y if activation is None else np.clip(y, 0, LARGEST[activation])


def fixed_batch_norm(x, gamma, beta, mean, var, eps=2e-5, activation=None):
    mean, var, gamma, beta = (v.reshape(-1, *[1] * (x.ndim - 2)) for v in (mean, var, gamma, beta))
    y = (x - mean) / np.sqrt(var + eps) * gamma + beta
    return y if activation is None else np.clip(y, 0, LARGEST[activation])


def layer_norm(x, gamma, beta, eps=1e-5):
    return standardized(x, tuple(range(-gamma.ndim, 0)), eps) * gamma + beta if x.size else x


def rms_norm(x, gamma, eps=1e-6):
    axes = tuple(range(-gamma.ndim, 0))
    return x / np.sqrt((x**2).mean(axes, keepdims=True) + eps) * gamma if x.size else x


def group_norm(x, gamma, beta, groups, eps=1e-5):
    shape = (-1, *[1] * (x.ndim - 2))
    y = np.zeros(x.shape)
    for i in np.ndindex(len(x), groups):
        group = i[0], slice(*[x.shape[1] // groups * k for k in (i[1], i[1] + 1)])
        y[group] = standardized(x[group], None, eps)
    return y * gamma.reshape(shape) + beta.reshape(shape)


def instance_norm(x, gamma, beta, eps=1e-5):
    return group_norm(x, gamma, beta, x.shape[1], eps)


ONE = np.ones(3)
STATISTICS = {"mean": normal(3), "var": uniform(0.5, 2.0, 3)}  # Constants, not differentiated.

ROWS = [
    Row(
        "batch_norm",
        batch_norm,  # Without running statistics, which it modifies; test_normalization tests them.
        {
            "plain": case(normal(5, 3), normal(3), normal(3), None, None),
            "plain, images": case(normal(2, 3, 2, 4), normal(3), normal(3), None, None),
            "plain, another eps": case(normal(2, 3, 4), normal(3), normal(3), None, None, eps=0.1),
            "plain, relu": case(normal(4, 3, 2), normal(3), normal(3), None, None, activation="relu"),
            "plain, relu6": case(normal(4, 3, 2), normal(3), 3 + 3 * normal(3), None, None, activation="relu6"),
        },
        (
            bad(ValueError, r"batch_norm: x \(0, 3\) has no numbers", np.ones((0, 3)), ONE, ONE, None, None),
            bad(ValueError, r"batch_norm: gamma \(3,\).*\(4, 2\)", np.ones((4, 2)), ONE, np.ones(2), None, None),
            bad(ValueError, r"batch_norm: mean \(3,\).*\(4, 2\)", np.ones((4, 2)), *[np.ones(2)] * 2, ONE, None),
            bad(ValueError, r"batch_norm: x \(3,\) needs the axes", ONE, ONE, ONE, None, None),
            bad(ValueError, r"batch_norm: mean int64\[3\] must follow", np.ones((4, 3)), ONE, ONE, integers(2, 3), ONE),
            bad(ValueError, r"batch_norm: var .* written to", np.ones((4, 3)), ONE, ONE, ONE, np.broadcast_to(1.0, 3)),
            bad(TypeError, "batch_norm: list is not supported", np.ones((4, 1)), [1.0], np.ones(1), None, None),
        ),
        {**FIXED, "empty": "empty statistics raise", "0-d": "it has no channels"},
        non_finite_exempt={"plain, relu6": "outputs at a limit do not depend on finite numbers, but on NaN"},
        rtol=1e-10,
    ),
    Row(
        "fixed_batch_norm",
        fixed_batch_norm,
        {
            "plain": case(normal(5, 3), normal(3), normal(3), **STATISTICS),
            "plain, images": case(normal(2, 3, 2, 4), normal(3), normal(3), **STATISTICS),
            "plain, one example": case(normal(1, 3), normal(3), normal(3), **STATISTICS, eps=0.1),
            "plain, relu": case(normal(4, 3, 2), normal(3), normal(3), **STATISTICS, activation="relu"),
            "empty": case(normal(0, 3, 2), normal(3), normal(3), **STATISTICS),
        },
        (
            bad(ValueError, r"fixed_batch_norm: x \(3,\) needs the axes", ONE, ONE, ONE, ONE, ONE),
            bad(ValueError, r"fixed_batch_norm: var \(2,\).*\(4, 3\)", np.ones((4, 3)), ONE, ONE, ONE, np.ones(2)),
            bad(ValueError, "fixed_batch_norm: eps is -1", np.ones((4, 3)), ONE, ONE, ONE, ONE, eps=-1),
            bad(
                ValueError,
                "fixed_batch_norm: activation must be one of relu, relu6",
                np.ones((4, 3)),
                *[ONE] * 4,
                activation="tanh",
            ),
            bad(TypeError, "fixed_batch_norm: None is not", np.ones((4, 3)), ONE, ONE, np.ones(3), None),
        ),
        {**FIXED, "0-d": "it has no channels"},
    ),
    Row(
        "layer_norm",
        layer_norm,
        {
            "plain": case(normal(5, 4), normal(4), normal(4)),
            "plain, sequences": case(normal(2, 3, 4), normal(4), normal(4)),
            "plain, two axes": case(normal(2, 3, 4), normal(3, 4), normal(3, 4), eps=0.1),
            "plain, one example": case(normal(4), normal(4), normal(4)),
            "plain, one number": case(normal(3, 1), normal(1), normal(1)),
            "empty": case(np.zeros((0, 4)), np.ones(4), np.ones(4)),
            "empty, no features": case(normal(4, 0), normal(0), normal(0)),
        },
        (
            bad(ValueError, r"layer_norm: gamma \(3,\) and beta \(3,\).*\(5, 4\)", np.ones((5, 4)), ONE, ONE),
            bad(ValueError, r"layer_norm: gamma \(3,\) and beta \(2,\)", np.ones((5, 3)), ONE, np.ones(2)),
            bad(TypeError, "layer_norm: list is not supported", [1.0, 2.0, 3.0], ONE, ONE),
        ),
        {**FIXED, "0-d": "it has no features"},
        non_finite_exempt={"plain, one number": "the deviation of one number is 0 and is multiplied"},
        rtol=1e-10,
    ),
    Row(
        "rms_norm",
        rms_norm,
        {
            "plain": case(normal(5, 4), normal(4)),
            "plain, sequences": case(normal(2, 3, 4), normal(4)),
            "plain, two axes": case(normal(2, 3, 4), normal(3, 4), eps=0.1),
            "plain, one number": case(normal(3, 1), normal(1), eps=0.1),
            "empty": case(normal(0, 4), normal(4)),
            "empty, no features": case(normal(4, 0), normal(0)),
        },
        (
            bad(ValueError, r"rms_norm: gamma \(3,\) .*\(5, 4\)", np.ones((5, 4)), ONE),
            bad(ValueError, r"rms_norm: gamma \(\)", ONE, np.array(1.0)),
            bad(ValueError, "rms_norm: eps is -1", ONE, ONE, eps=-1),
            bad(TypeError, "rms_norm: list is not supported", [1.0, 2.0, 3.0], ONE),
        ),
        {**FIXED, "0-d": "it has no features"},
        rtol=1e-10,
    ),
    Row(
        "group_norm",
        group_norm,
        {
            "plain": case(distinct(3, 4), normal(4), normal(4), 2),
            "plain, images": case(normal(2, 6, 2, 3), normal(6), normal(6), 3),
            "plain, one group": case(normal(2, 3, 4), normal(3), normal(3), 1, eps=0.1),
            "plain, each channel": case(normal(2, 3, 4), normal(3), normal(3), 3),
            "empty": case(normal(0, 4, 2), normal(4), normal(4), 2),
        },
        (
            bad(ValueError, r"group_norm: x \(3,\) needs the axes", ONE, ONE, ONE, 1),
            bad(ValueError, r"group_norm: gamma \(3,\).*\(2, 4\)", np.ones((2, 4)), ONE, np.ones(4), 2),
            bad(ValueError, r"group_norm: beta \(3,\).*\(2, 4\)", np.ones((2, 4)), np.ones(4), ONE, 2),
            bad(ValueError, r"group_norm: .* \(2, 3\), must be a multiple of groups=2", np.ones((2, 3)), ONE, ONE, 2),
            bad(ValueError, r"group_norm: x \(2, 3\) has 1 numbers in each group", np.ones((2, 3)), ONE, ONE, 3),
            bad(ValueError, r"group_norm: x \(2, 3, 0\) has 0 numbers", np.ones((2, 3, 0)), ONE, ONE, 1),
            bad(ValueError, "group_norm: groups is 0", np.ones((2, 3)), ONE, ONE, 0),
            bad(ValueError, "group_norm: eps is -1", np.ones((2, 3)), ONE, ONE, 1, eps=-1),
            bad(TypeError, "group_norm: groups is a float", np.ones((2, 3)), ONE, ONE, 1.0),
            bad(TypeError, "group_norm: list is not supported", np.ones((2, 3)), ONE, [0.0] * 3, 1),
        ),
        {**FIXED, "0-d": "it has no channels"},
        rtol=1e-10,
    ),
    Row(
        "instance_norm",
        instance_norm,
        {
            "plain": case(normal(2, 3, 4), normal(3), normal(3)),
            "plain, images": case(normal(2, 3, 2, 3), normal(3), normal(3), eps=0.1),
            "empty": case(normal(0, 3, 2, 2), normal(3), normal(3)),
        },
        (
            bad(ValueError, r"instance_norm: x \(3,\) needs the axes", ONE, ONE, ONE),
            bad(ValueError, r"instance_norm: x \(2, 3\) has 1 numbers in each group", np.ones((2, 3)), ONE, ONE),
            bad(ValueError, r"instance_norm: x \(2, 3, 1, 1\) has 1 numbers", np.ones((2, 3, 1, 1)), ONE, ONE),
            bad(ValueError, r"instance_norm: x \(2, 0, 4\) has 0 numbers", np.ones((2, 0, 4)), ONE[:0], ONE[:0]),
            bad(ValueError, r"instance_norm: beta \(2,\)", np.ones((2, 3, 4)), ONE, np.ones(2)),
            bad(TypeError, "instance_norm: eps is a str", np.ones((2, 3, 4)), ONE, ONE, "small"),
        ),
        {**FIXED, "0-d": "it has no channels"},
        rtol=1e-10,
    ),
]

ROWS.append(dataclasses.replace(ROWS[0], name="batch_nrom"))  # The spelling of DeZero.
