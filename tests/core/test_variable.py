"""Variable: data, text forms, copies and conversions."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from passus import Parameter, Variable, as_array, as_variable, no_grad
from passus.errors import DTypeError, GraphError
from passus.functions import square


def test_properties_are_those_of_the_array():
    x = Variable(np.zeros((2, 3), np.float32), "x")
    assert (x.shape, x.ndim, x.size, x.dtype, len(x), x.name) == ((2, 3), 2, 6, np.float32, 2, "x")
    empty = Variable(np.zeros((0, 3)))
    assert (len(empty), empty.size, list(empty)) == (0, 0, [])
    with pytest.raises(TypeError):
        len(Variable(np.array(1.0)))
    with pytest.raises(TypeError, match="no elements to iterate"):
        iter(Variable(np.array(1.0)))


def test_text_forms():
    x = Variable(np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert repr(x) == "variable([[1. 2.]\n          [3. 4.]])"
    assert str(x) == str(x.data)
    assert repr(Variable(None)) == "variable(None)"
    assert f"{Variable(np.array(1 / 3)):.3f}" == "0.333"
    assert f"{x}" == str(x.data)
    assert repr(square(Variable(np.array(3.0)))) == "variable(9.0)"


def test_conversions():
    x = Variable(np.array(2.5))
    assert (float(x), int(x), bool(x), x.item(), x.tolist()) == (2.5, 2, True, 2.5, 2.5)
    assert [10, 20, 30][Variable(np.array(1))] == 20
    with pytest.raises(TypeError):
        [10, 20][x]
    with pytest.raises(TypeError):
        float(Variable(np.ones(2)))
    with pytest.raises(ValueError, match="ambiguous"):
        bool(Variable(np.ones(2)))
    with no_grad():
        assert np.asarray(x) == 2.5
    with no_grad():
        assert np.array(Variable(np.ones(2)), dtype=np.float32).dtype == np.float32
    assert Variable(np.ones(2)).tolist() == [1.0, 1.0]


def test_numbers_and_variables_are_boxed():
    assert as_array(2.0).shape == ()
    assert as_array(np.float32(2.0)).dtype == np.float32
    array = np.ones(2)
    assert as_array(array) is array
    x = as_variable(array)
    assert x.data is array
    assert as_variable(x) is x
    assert as_variable(2).dtype.kind == "i"


def test_elements_cannot_be_assigned():
    x = Variable(np.ones(3))
    with pytest.raises(DTypeError, match=r"F\.where"):
        x[0] = 2.0
    x.data[0] = 2.0
    assert x.data[0] == 2.0


def test_assigned_data_must_be_arrays():
    x = Parameter(None)
    x.data = np.ones(3)
    assert x.requires_grad
    with pytest.raises(DTypeError, match="not supported"):
        x.data = [1.0]
    x.data = np.ones(3, bool)
    assert not x.requires_grad


def test_in_place_updates_of_data():
    x = Variable(np.array([1.0, 2.0]))
    array = x.data
    square(x).backward()
    x.data -= 0.5 * x.grad
    x.data -= 0.0 * x.grad.data
    x.data = x.data - 0.0 * x.grad.data
    np.testing.assert_array_equal(x.data, [0.0, 0.0])
    assert array[0] == 0.0


def test_in_place_updates_of_0d_data():
    x = Variable(np.array(3.0))
    square(x).backward()
    x.data = x.data - 0.5 * x.grad.data
    assert type(x.data) is np.ndarray
    assert x.data == 0.0
    x.grad = 2 * x.grad.data
    assert type(x.grad.data) is np.ndarray
    assert x.grad == 12.0


def test_variables_are_hashed_by_identity():
    x, y = Variable(np.ones(2)), Variable(np.ones(2))
    assert {x: 1, y: 2}[y] == 2
    assert len({x, y, x}) == 2


@pytest.mark.parametrize("kind", [Variable, Parameter])
def test_copies_are_separate_leaves(kind):
    x = kind(np.ones(2), "x")
    x.grad = np.ones(2)
    x.requires_grad = False
    for new in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        assert type(new) is kind
        assert (new.name, new.requires_grad) == ("x", False)
        assert not np.shares_memory(new.data, x.data)
        assert not np.shares_memory(new.grad.data, x.grad.data)
    y = square(Variable(np.ones(2)))
    assert copy.deepcopy(y).creator is None
    assert copy.deepcopy([x, x])[0] is not x
    shared = copy.deepcopy([x, x])
    assert shared[0] is shared[1]
    with pytest.raises(GraphError, match="detach"):
        pickle.dumps(y)
    pickle.dumps(y.detach())


def test_detach_shares_the_array_but_not_the_graph():
    x = Variable(np.ones(2))
    y = square(x).detach()
    assert (y.creator, y.requires_grad) == (None, False)
    assert np.shares_memory(y.data, y.detach().data)


def test_array_subclass_is_viewed_as_ndarray(tmp_path):
    mapped = np.memmap(tmp_path / "x", np.float32, "w+", shape=(3,))
    assert type(Variable(mapped).data) is np.ndarray
    assert type(square(Variable(mapped)).data) is np.ndarray


def test_numpy_scalars_are_boxed_with_as_array():
    x = Variable(np.array(1.0))
    with pytest.raises(DTypeError, match=r"float64 is not supported; write np\.array\(0\.5\), or as_array"):
        Variable(x.data - 0.5)
    assert Variable(as_array(x.data - 0.5)) == 0.5
