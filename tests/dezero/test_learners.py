"""Programs as those write them who build steps 1 to 16 of the book on top of passus: each runs, and prints the number that they expect."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SQUARE = {
    "input.data": """
class Square(Function):
    def forward(self, x):
        y = x ** 2
        return y
    def backward(self, gy):
        x = self.input.data
        gx = 2 * x * gy
        return gx
""",
    "inputs[0].data": """
class Square(Function):
    def forward(self, x):
        return x ** 2
    def backward(self, gy):
        x = self.inputs[0].data
        return 2 * x * gy
""",
    "unpacked, tuple": """
class Square(Function):
    def forward(self, x):
        y = x ** 2
        return (y,)
    def backward(self, gy):
        x, = self.inputs
        return (2 * x * gy,)
""",
    "in place": """
class Square(Function):
    def forward(self, x):
        return x * x
    def backward(self, gy):
        gy *= 2
        gy *= self.input.data
        return gy
""",
    "kept": """
class Square(Function):
    def forward(self, x):
        self.x = x
        return np.square(x)
    def backward(self, gy):
        return gy * 2.0 * self.x
""",
}
EXP = {
    "input.data": """
class Exp(Function):
    def forward(self, x):
        return np.exp(x)
    def backward(self, gy):
        x = self.input.data
        return np.exp(x) * gy
""",
    "output": """
class Exp(Function):
    def forward(self, x):
        y = np.exp(x)
        return y,
    def backward(self, gy):
        y = self.outputs[0]()
        return y * gy
""",
    "output, strong": """
class Exp(Function):
    def forward(self, x):
        return np.exp(x)
    def backward(self, gy):
        return self.output.data * gy
""",
    "math": """
import math
class Exp(Function):
    def forward(self, x):
        return math.exp(x)
    def backward(self, gy):
        return math.exp(self.input.data) * gy
""",
}
ADD = {
    "plain": """
class Add(Function):
    def forward(self, x0, x1):
        y = x0 + x1
        return y
    def backward(self, gy):
        return gy, gy
""",
    "tuple": """
class Add(Function):
    def forward(self, x0, x1):
        return (x0 + x1,)
    def backward(self, gy):
        return [gy, gy]
""",
    "star": """
class Add(Function):
    def forward(self, *xs):
        x0, x1 = xs
        y = x0 + x1
        return y,
    def backward(self, gy):
        return (gy, gy)
""",
}
HEAD = """
import numpy as np
from passus import Variable, Function, as_array
"""
FUNCTIONS = """
def square(x):
    return Square()(x)
def exp(x):
    f = Exp()
    return f(x)
def add(x0, x1):
    return Add()(x0, x1)
"""
WALKS = {
    "by hand": """
A = Square(); B = Exp(); C = Square()
x = Variable(np.array(0.5))
a = A(x); b = B(a); y = C(b)
y.grad = np.array(1.0)
b.grad = C.backward(y.grad)
a.grad = B.backward(b.grad)
x.grad = A.backward(a.grad)
""",
    "by hand, arrays": """
A, B, C = Square(), Exp(), Square()
x = Variable(np.array(0.5))
y = C(B(A(x)))
gy = np.array(1.0)
g = gy
for f in (C, B, A):
    g = f.backward(g)
    if isinstance(g, tuple):
        g, = g
x.grad = g if isinstance(g, Variable) else as_array(g)
""",
    "recursively": """
def walk(v):
    f = v.creator
    if f is not None:
        x = f.input
        gx = f.backward(v.grad)
        x.grad = gx[0] if isinstance(gx, tuple) else gx
        walk(x)
x = Variable(np.array(0.5))
y = square(exp(square(x)))
y.grad = np.array(1.0)
walk(y)
""",
    "in a loop over input and output": """
x = Variable(np.array(0.5))
y = square(exp(square(x)))
y.grad = np.array(1.0)
funcs = [y.creator]
while funcs:
    f = funcs.pop()
    x, y = f.input, f.output
    gx = f.backward(y.grad)
    x.grad = gx[0] if isinstance(gx, tuple) else gx
    if x.creator is not None:
        funcs.append(x.creator)
""",
    "in a loop over inputs and outputs": """
x = Variable(np.array(0.5))
y = square(exp(square(x)))
y.grad = np.ones_like(y.data)
funcs = [y.creator]
while funcs:
    f = funcs.pop()
    gys = [output.grad for output in f.outputs]
    gxs = f.backward(*gys)
    if not isinstance(gxs, tuple):
        gxs = (gxs,)
    for x, gx in zip(f.inputs, gxs):
        if x.grad is None:
            x.grad = gx
        else:
            x.grad = x.grad + gx
        if x.creator is not None:
            funcs.append(x.creator)
""",
    "in a loop over weak references": """
x = Variable(np.array(0.5))
y = square(exp(square(x)))
y.grad = np.array(1.0)
funcs, seen_set = [y.creator], {y.creator}
while funcs:
    f = funcs.pop()
    gxs = f.backward(*[output().grad for output in f.outputs])
    gxs = gxs if isinstance(gxs, tuple) else (gxs,)
    for x, gx in zip(f.inputs, gxs):
        x.grad = gx if x.grad is None else x.grad + gx
        if x.creator is not None and x.creator not in seen_set:
            seen_set.add(x.creator)
            funcs.append(x.creator)
    funcs.sort(key=lambda f: f.generation)
""",
    "backward": """
x = Variable(np.array(0.5))
y = square(exp(square(x)))
y.backward()
""",
    "backward, seeded": """
x = Variable(np.array(0.5))
a = square(x)
b = exp(a)
y = square(b)
assert y.creator.inputs[0] is b and y.creator.inputs[0].creator.inputs[0] is a
y.grad = np.array(1.0)
y.backward()
""",
}


def run(program: str, capsys: pytest.CaptureFixture[str]) -> str:
    exec(compile(HEAD + program, "program", "exec"), {"__name__": "__main__"})
    return capsys.readouterr().out


# A rule that returns a tuple of one is not called by hand without taking the gradient out of it.
PROGRAMS = [(s, e, w) for s in SQUARE for e in EXP for w in WALKS if (s, w) != ("unpacked, tuple", "by hand")]


@pytest.mark.parametrize(("square", "exponential", "walk"), PROGRAMS)
def test_the_derivative_of_three_functions(square, exponential, walk, capsys):
    program = SQUARE[square] + EXP[exponential] + FUNCTIONS + WALKS[walk] + "\nprint(x.grad)\n"
    assert float(run(program, capsys)) == pytest.approx(3.297442541400256, rel=1e-15)


@pytest.mark.parametrize("square", SQUARE)
@pytest.mark.parametrize("addition", ADD)
def test_sums_and_variables_that_are_used_twice(addition, square, capsys):
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


SUBCLASSES = {
    "step 7": """
class Box(Variable):
    def set_creator(self, func):
        self.creator = func
    def backward(self):
        f = self.creator
        if f is not None:
            x = f.input
            x.grad = f.backward(self.grad)
            x.backward()
class Step(Function):
    def __call__(self, input):
        x = input.data
        y = self.forward(x)
        output = Box(as_array(y))
        output.set_creator(self)
        self.input = input
        self.output = output
        return output
""",
    "step 8, without super().__init__": """
class Box(Variable):
    def __init__(self, data):
        self.data = data
        self.grad = None
        self.creator = None
    def set_creator(self, func):
        self.creator = func
    def backward(self):
        funcs = [self.creator]
        while funcs:
            f = funcs.pop()
            x, y = f.input, f.output
            x.grad = f.backward(y.grad)
            if x.creator is not None:
                funcs.append(x.creator)
class Step(Function):
    def __call__(self, input):
        x = input.data
        y = self.forward(x)
        output = Box(as_array(y))
        output.set_creator(self)
        self.input = input
        self.output = output
        return output
""",
    "steps 13 to 16": """
class Box(Variable):
    def __init__(self, data):
        if data is not None and not isinstance(data, np.ndarray):
            raise TypeError(type(data))
        self.data = data
        self.grad = None
        self.creator = None
        self.generation = 0
    def set_creator(self, func):
        self.creator = func
        self.generation = func.generation + 1
    def backward(self):
        if self.grad is None:
            self.grad = np.ones_like(self.data)
        funcs, seen_set = [], set()
        def add_func(f):
            if f not in seen_set:
                funcs.append(f)
                seen_set.add(f)
                funcs.sort(key=lambda x: x.generation)
        add_func(self.creator)
        while funcs:
            f = funcs.pop()
            gys = [output.grad for output in f.outputs]
            gxs = f.backward(*gys)
            if not isinstance(gxs, tuple):
                gxs = (gxs,)
            for x, gx in zip(f.inputs, gxs):
                x.grad = gx if x.grad is None else x.grad + gx
                if x.creator is not None:
                    add_func(x.creator)
class Step(Function):
    def __call__(self, *inputs):
        xs = [x.data for x in inputs]
        ys = self.forward(*xs)
        if not isinstance(ys, tuple):
            ys = (ys,)
        outputs = [Box(as_array(y)) for y in ys]
        self.generation = max([x.generation for x in inputs])
        for output in outputs:
            output.set_creator(self)
        self.inputs = inputs
        self.outputs = outputs
        return outputs if len(outputs) > 1 else outputs[0]
""",
    "step 17, its own call and the walk of passus": """
import weakref
Box = Variable
class Step(Function):
    def __call__(self, *inputs):
        xs = [x.data for x in inputs]
        ys = self.forward(*xs)
        if not isinstance(ys, tuple):
            ys = (ys,)
        outputs = [Box(as_array(y)) for y in ys]
        self.generation = max([x.generation for x in inputs])
        for output in outputs:
            output.set_creator(self)
        self.inputs = inputs
        self.outputs = [weakref.ref(output) for output in outputs]
        return outputs if len(outputs) > 1 else outputs[0]
""",
}


@pytest.mark.parametrize("classes", SUBCLASSES)
def test_classes_that_grow_by_subclassing(classes, capsys):
    functions = SQUARE["input.data"] + EXP["input.data"]
    program = f"""{SUBCLASSES[classes]}
Function = Step
{functions}
x = Box(np.array(0.5))
y = Square()(Exp()(Square()(x)))
y.grad = np.array(1.0)
y.backward()
print(x.grad)
"""
    assert run(program, capsys) == "3.297442541400256\n"


@pytest.mark.parametrize("classes", ["steps 13 to 16", "step 17, its own call and the walk of passus"])
def test_branches_of_classes_that_grow_by_subclassing(classes, capsys):
    program = f"""{SUBCLASSES[classes]}
Function = Step
{SQUARE["inputs[0].data"]}{ADD["plain"]}
x = Box(np.array(2.0))
a = Square()(x)
y = Add()(Square()(a), Square()(a))
y.backward()
print(y.data, x.grad)
"""
    assert run(program, capsys) == "32.0 64.0\n"


def test_a_graph_with_constants_is_walked_by_hand(capsys):
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


def test_an_empty_box(capsys):
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
def test_unit_tests_of_learners(arguments, tmp_path: Path):
    (tmp_path / "test_square.py").write_text(UNIT_TESTS + "\nif __name__ == '__main__':\n    unittest.main()\n")
    done = subprocess.run([sys.executable, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=110)
    assert done.returncode == 0, done.stderr
    assert "Ran 4 tests" in done.stderr


@pytest.mark.parametrize("own", ["F.matmul(x, W)", "MatMul()(x, W)"])
def test_intermediate_results_are_released(own, capsys):
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
