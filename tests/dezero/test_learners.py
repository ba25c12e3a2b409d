"""Programs of readers of the book who build steps 1 to 16 on top of passus: each prints the expected number."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.dezero.programs import ADD, EXP, FUNCTIONS, HEAD, SQUARE, WALKS, run

# Without unpacking, a rule that returns a tuple cannot be called by hand.
PROGRAMS = [(s, e, w) for s in SQUARE for e in EXP for w in WALKS if (s, w) != ("unpacked, tuple", "by hand")]


@pytest.mark.parametrize(("square", "exponential", "walk"), PROGRAMS)
def test_derivative_of_three_composed_functions(square, exponential, walk, capsys):
    program = SQUARE[square] + EXP[exponential] + FUNCTIONS + WALKS[walk] + "\nprint(x.grad)\n"
    assert float(run(program, capsys)) == pytest.approx(3.297442541400256, rel=1e-15)


@pytest.mark.parametrize("square", SQUARE)
@pytest.mark.parametrize("addition", ADD)
def test_sums_and_variables_used_twice(addition, square, capsys):
    program = """
x = Variable(np.array(2.0)); y = Variable(np.array(3.0))
z = add(square(x), square(y))
print(z.data)
z.backward()
print(x.grad, y.grad)
x = Variable(np.array(3.0))
y = add(x, x)
y.backward()
print(x.grad)
x.cleargrad()
y = add(add(x, x), x)
y.backward()
print(x.grad)
x.grad = None
a = square(x)
y = add(square(a), square(a))
y.backward()
print(y.data, x.grad)
"""
    out = run(SQUARE[square] + ADD[addition] + FUNCTIONS.replace("Exp()", "None") + program, capsys)
    assert out.split() == ["13.0", "4.0", "6.0", "2.0", "3.0", "162.0", "216.0"]


def test_graph_with_constants_can_be_traversed(capsys):
    program = """
x = Variable(np.array(2.0))
y = 3 * x ** 2 - 1 + np.array(4.0) / x
def draw(output):
    lines, funcs, seen = [], [], set()
    def add_func(f):
        if f not in seen:
            funcs.append(f)
            seen.add(f)
    def dot_var(v):
        return f"{id(v)} {'' if v.name is None else v.name} {v.shape} {v.dtype}"
    add_func(output.creator)
    lines.append(dot_var(output))
    while funcs:
        f = funcs.pop()
        for v in f.inputs:
            lines.append(f"{id(v)} -> {id(f)}")
            lines.append(dot_var(v))
            if v.creator is not None:
                add_func(v.creator)
        for out in f.outputs:
            lines.append(f"{id(f)} -> {id(out())}")
    return lines
lines = draw(y)
print(len(lines) == len(draw(y)) and lines == draw(y), sum("->" in line for line in lines))
print([float(v.data) for f in [y.creator] for v in f.inputs])
"""
    assert run(program, capsys) == "True 15\n[11.0, 2.0]\n"


def test_variable_without_data(capsys):
    program = """
x = Variable(None)
print(x.data, x.grad, x.creator, repr(x))
x.data = np.array(2.0)
(x * x).backward()
print(x.grad)
"""
    assert run(program, capsys).split("\n")[:2] == ["None None None variable(None)", "4.0"]


def test_numerical_differentiation(capsys):
    program = (
        SQUARE["input.data"]
        + EXP["input.data"]
        + """
def numerical_diff(f, x, eps=1e-4):
    x0 = Variable(x.data - eps)
    x1 = Variable(x.data + eps)
    y0 = f(x0)
    y1 = f(x1)
    return (y1.data - y0.data) / (2 * eps)
def f(x):
    A = Square(); B = Exp(); C = Square()
    return C(B(A(x)))
x = Variable(np.array(0.5))
dy = numerical_diff(f, x)
print(dy)
"""
    )
    program = program.replace("Variable(x.data - eps)", "Variable(as_array(x.data - eps))")
    program = program.replace("Variable(x.data + eps)", "Variable(as_array(x.data + eps))")
    assert run(program, capsys) == "3.2974426293330694\n"


UNIT_TESTS = (
    HEAD
    + "import unittest\n"
    + SQUARE["input.data"]
    + """
def square(x):
    return Square()(x)
def numerical_diff(f, x, eps=1e-4):
    x0 = Variable(x.data - eps)
    x1 = Variable(x.data + eps)
    return (f(x1).data - f(x0).data) / (2 * eps)
class SquareTest(unittest.TestCase):
    def test_forward(self):
        x = Variable(np.array(2.0))
        y = square(x)
        expected = np.array(4.0)
        self.assertEqual(y.data, expected)
    def test_backward(self):
        x = Variable(np.array(3.0))
        y = square(x)
        y.backward()
        expected = np.array(6.0)
        self.assertEqual(x.grad, expected)
        self.assertEqual(x.grad, 6.0)
        self.assertAlmostEqual(float(x.grad), 6.0)
    def test_gradient_check(self):
        x = Variable(np.random.rand(1))
        y = square(x)
        y.backward()
        num_grad = numerical_diff(square, x)
        flg = np.allclose(x.grad, num_grad)
        self.assertTrue(flg)
    def test_array_equal(self):
        x = Variable(np.array([1.0, 2.0]))
        y = square(x)
        np.testing.assert_array_equal(y.data, [1.0, 4.0])
        np.testing.assert_array_equal(y, [1.0, 4.0])
"""
)


@pytest.mark.parametrize(
    "arguments", [["-m", "unittest", "test_square"], ["-m", "unittest", "discover"], ["test_square.py"]]
)
def test_unittest_programs_of_readers(arguments, tmp_path: Path):
    (tmp_path / "test_square.py").write_text(UNIT_TESTS + "\nif __name__ == '__main__':\n    unittest.main()\n")
    done = subprocess.run([sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    assert "Ran 4 tests" in done.stderr


@pytest.mark.parametrize("own", ["F.matmul(x, W)", "MatMul()(x, W)"])
def test_data_released_in_the_forward_pass(own, capsys):
    """Step 43: ``t.data = None`` between the product and the sum."""
    program = f"""
import passus.functions as F
class MatMul(Function):
    def forward(self, x, W):
        return x.dot(W)
    def backward(self, gy):
        x, W = self.inputs
        return F.matmul(gy, W.T), F.matmul(x.T, gy)
def linear_simple(x, W, b=None):
    t = {own}
    if b is None:
        return t
    y = t + b
    t.data = None
    return y
x, W, b = Variable(np.array([[1.0, 2.0]])), Variable(np.array([[1.0], [2.0]])), Variable(np.array([0.5]))
y = F.sum(linear_simple(x, W, b) ** 2)
y.backward()
print(y, x.grad.data.tolist(), W.grad.data.tolist(), b.grad)
"""
    assert run(program, capsys) == "30.25 [[11.0, 22.0]] [[11.0], [22.0]] [11.]\n"
