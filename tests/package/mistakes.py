"""The gallery: mistakes that new users make, and what passus does about each.

An entry has a title, the library whose habit it is, the lines as one would type them, and the outcome: an error or one
warning, whose message matches a pattern with the fix in it, or silence, with the reason why a check would cost every
correct program. A page can be made from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = ["MISTAKES", "SETTING", "Mistake"]

Outcome = Literal["error", "warning", "silent"]


@dataclass(frozen=True)
class Mistake:
    """One of them. ``says``: a pattern of the message. ``reason``: why it is silent, or not an error of passus."""

    title: str
    habit: str
    code: str
    outcome: Outcome
    says: str = ""
    reason: str = ""


SETTING = """
import numpy as np
import passus
import passus.functions as F
import passus.layers as L
import passus.optimizers as O
import passus.transforms as T
from passus import Model, Parameter, Variable
from passus.models import MLP
from passus.training import Callback, Trainer

rng = np.random.default_rng(0)
x = rng.normal(size=(8, 4)).astype(np.float32)
t = np.array([0, 1, 2, 0, 1, 2, 0, 1])
v = Variable(x)
image = rng.random((3, 32, 32), np.float32)
images = rng.random((8, 3, 32, 32), np.float32)
photo = rng.integers(0, 256, (32, 32, 3), np.uint8)
model = MLP((5, 3), in_size=4)
optimizer = O.SGD(lr=0.1).setup(model)
"""
"""What is there before each mistake."""


def error(title: str, habit: str, code: str, says: str, reason: str = "") -> Mistake:
    return Mistake(title, habit, code, "error", says, reason)


def warning(title: str, habit: str, code: str, says: str) -> Mistake:
    return Mistake(title, habit, code, "warning", says)


def silent(title: str, habit: str, code: str, reason: str) -> Mistake:
    return Mistake(title, habit, code, "silent", reason=reason)


LAYERS = [
    error("Input size first", "PyTorch", "L.Linear(5, 16)", r"nobias is an int \(16\).*Linear\(16\)"),
    error("Input channels first", "PyTorch", "L.Conv2d(3, 16, 3)", r"Conv2d\(16, 3\) here"),
    error("... with stride and padding", "PyTorch", "L.Conv2d(3, 64, 7, 2, 3)", r"Conv2d\(64, 7\) here"),
    error("... with a name", "PyTorch", "L.Conv2d(3, 16, kernel_size=3)", "kernel_size twice.*in_channels is inferred"),
    error("... and one channel", "PyTorch", "L.Conv2d(1, 32, 3, 1)", r"Conv2d\(32, 3\) here"),
    error("... of a transposed convolution", "PyTorch", "L.Deconv2d(64, 32, 2, 2)", r"Deconv2d\(32, 2\) here"),
    error("... of signals", "PyTorch", "L.Conv1d(4, 8, 3)", r"Conv1d\(8, 3\) here"),
    error("padding", "PyTorch", "L.Conv2d(16, 3, padding=1)", "called pad here"),
    error("bias=False", "PyTorch", "L.Linear(16, bias=False)", "nobias=True"),
    error("in_features", "PyTorch", "L.Linear(in_features=4, out_features=3)", "called in_size here"),
    error("units", "Keras", "L.Linear(units=3)", "called out_size here"),
    error("filters", "Keras", "L.Conv2d(filters=16, kernel_size=3)", "called out_channels here"),
    error("Channels of a norm", "PyTorch", "L.BatchNorm(16)", r"write BatchNorm\(\)"),
    error("Shape of a norm", "PyTorch", "L.LayerNorm((16,))", "length of the last axis"),
    error("Order of a norm", "PyTorch", "L.LocalResponseNorm(5, 1e-4, 0.75, 2.0)", "name the others: k, alpha, beta"),
    error("inplace", "PyTorch", "L.ReLU(inplace=True)", "leave it out"),
    error("p of dropout", "PyTorch", "L.Dropout(p=0.5)", "called dropout_ratio here"),
    error("Dropout in percent", "everyone", "L.Dropout(50)", "dropout_ratio is 50.0; it must be"),
    error("A class for a layer", "everyone", "L.Sequential(L.Linear(5), L.ReLU)", r"write ReLU\(\)"),
    error("A layer called when it is made", "everyone", "L.ReLU(x)", r"ReLU\(\)\(x\)"),
    error("A list of layers", "Keras", "L.Sequential([L.Linear(5), L.ReLU()])", "Sequential\\(\\*layers\\)"),
    error("Sizes without a tuple", "everyone", "MLP(784, 10)", r"in a tuple, as in MLP\(\(784,\)\)"),
    silent(
        "The input size among the sizes",
        "PyTorch",
        "MLP((4, 5, 3))(x)",
        "It is a network with one layer more, which somebody may want; nothing tells the two apart.",
    ),
    error("The name of an activation", "Keras", "MLP((5, 3), activation='relu')", "give a function"),
    error("Classes of a known model", "everyone", "passus.models.ResNet18(10)", "num_classes=10"),
    error("A layer without forward", "Keras", "class Net(Model):\n    def call(self, x): ...\nNet()(x)", "def forward"),
    error("Layers in a set", "everyone", "model.parts = {L.Linear(3)}\nlist(model.params())", "use a list"),
    error("Parameter replaced by an array", "everyone", "model.l0.W = np.zeros((4, 5))", r"assign it to W\.data"),
    error("Parameter replaced by a Variable", "everyone", "model.l0.W = Variable(np.zeros((4, 5)))", r"to W\.data"),
    error("Parameter moved by hand", "book", "model.l0.W = model.l0.W - 0.1", r"assign its array to W\.data"),
    silent(
        "A Variable for a Parameter",
        "book",
        "class Net(Model):\n    def __init__(self):\n        self.W = Variable(np.ones((4, 3)))\nNet()",
        "Layers keep Variables that are not learnt, such as a state from one call to the next.",
    ),
]

DATA = [
    warning(
        "float64 data",
        "NumPy",
        "m = L.Linear(3)\nfor _ in range(3):\n    m(x.astype(float))",
        r"astype\(np.float32\)",
    ),
    warning(
        "float64 in a Variable",
        "book",
        "m = L.Linear(3)\nfor _ in range(3):\n    m(Variable(x.astype(float)))",
        r"astype\(np.float32\)",
    ),
    warning("Integer data", "NumPy", "L.Linear(3)(np.arange(8).reshape(2, 4))", r"int64.*astype\(np.float32\)"),
    warning("Bytes as images", "NumPy", "L.Conv2d(4, 3)(photo.transpose(2, 0, 1)[None])", r"uint8.*/ 255"),
    warning(
        "Noise in float64",
        "NumPy",
        "h = model.l0(x) + np.random.default_rng(0).normal(size=5)\nL.Linear(3)(h)",
        "Look for a float64 array",
    ),
    error("A list for an array", "everyone", "Variable([1.0, 2.0])", r"write np\.array\("),
    error("A number for an array", "book", "Variable(3.0)", r"write np\.array\(3\.0\)"),
    error("A list given to a function", "everyone", "F.relu([1.0, -1.0])", r"write np\.array\("),
    error(
        "Booleans that shall be learnt",
        "book",
        "Variable(np.array([True, False])).backward()",
        "start from floating-point numbers",
    ),
    error("Wrong number of features", "everyone", "model(x[:, :3])", r"mlp\.l0: linear\(float32\[8, 3\]"),
    warning("Channels last", "Keras", "L.Conv2d(4, 3)(images.transpose(0, 2, 3, 1))", r"transpose\(0, 3, 1, 2\)"),
    error(
        "Channels last, channels known",
        "Keras",
        "L.Conv2d(4, 3, in_channels=3)(images.transpose(0, 2, 3, 1))",
        r"transpose\(0, 3, 1, 2\)",
    ),
    warning(
        "Channels last into a norm", "Keras", "L.BatchNorm()(images.transpose(0, 2, 3, 1))", r"transpose\(0, 3, 1, 2\)"
    ),
    error("An image without a batch", "everyone", "L.Conv2d(4, 3)(image)", r"x\[None\]"),
    error("Rows into a convolution", "everyone", "L.Conv2d(4, 3)(images.reshape(8, -1))", r"x\.reshape\(N, C, H, W\)"),
    error("Words that are no integers", "everyone", "L.Embedding(10, 4)(x)", r"astype\(np\.int64\)"),
    error("Words out of range", "everyone", "L.Embedding(2, 4)(t)", "index 2 is out of range"),
    error("Elements assigned", "NumPy", "v[0] = 1.0", r"F\.where\(mask, v, x\)"),
    error("Softmax of one example", "NumPy", "F.softmax(x[0])", r"axis=-1"),
    error("Arrays not in a list", "everyone", "F.concatenate(x, x)", r"concatenate\(\[a, b\]\)"),
    error("Scores of SciPy", "SciPy", "import scipy.special\nscipy.special.erf(v)", r"write F\.erf\(x\)"),
    error("An array as a condition", "NumPy", "if v > 0: pass", "a.any", "NumPy says it, and its readers know it."),
]

LOSSES = [
    warning(
        "Softmax before the cross entropy",
        "Keras",
        "for _ in range(3):\n    F.softmax_cross_entropy(F.softmax(model(x)), t)",
        "Leave out the last activation",
    ),
    warning(
        "... as a layer",
        "Keras",
        "F.softmax_cross_entropy(L.Sequential(model, L.Softmax())(x), t)",
        "Leave out the last activation",
    ),
    warning(
        "... written out",
        "book",
        "e = F.exp(model(x))\nF.softmax_cross_entropy(e / e.sum(axis=1, keepdims=True), t)",
        "Leave out the last activation",
    ),
    warning(
        "Sigmoid before the cross entropy",
        "Keras",
        "F.sigmoid_cross_entropy(F.sigmoid(model(x)), np.ones((8, 3)))",
        "Leave out the last activation",
    ),
    warning("Probabilities for their logarithms", "PyTorch", "F.nll_loss(F.softmax(model(x)), t)", r"F\.log_softmax"),
    error(
        "Scores for probabilities",
        "Keras",
        "F.binary_cross_entropy(model(x) * 10, np.ones((8, 3)))",
        "use sigmoid_cross_entropy",
    ),
    error(
        "Labels as rows of 0 and 1",
        "Keras",
        "F.softmax_cross_entropy(model(x), np.eye(3, dtype=int)[t])",
        r"t\.argmax\(axis=1\)",
    ),
    error("Labels in a column", "Keras", "F.softmax_cross_entropy(model(x), t[:, None])", r"t\[\.\.\., 0\]"),
    error(
        "Labels as floating-point numbers",
        "NumPy",
        "F.softmax_cross_entropy(model(x), t.astype(float))",
        r"astype\(np\.int64\)",
    ),
    error(
        "Labels from 1",
        "MATLAB",
        "F.softmax_cross_entropy(model(x), t + 1)",
        r"label 3 is out of range.*0 to 2; for labels counted from 1 write t - 1",
    ),
    error("Target first", "Keras", "F.softmax_cross_entropy(t, model(x))", "swapped"),
    error("Flatten forgotten", "everyone", "F.softmax_cross_entropy(L.Linear(3)(images), t)", "F.flatten"),
    error(
        "Target in a row, prediction in a column",
        "everyone",
        "F.mean_squared_error(L.Linear(1)(x), x[:, 0])",
        r"t\.reshape\(\(8, 1\)\)",
    ),
    error(
        "... with the formula of the book",
        "book",
        "F.mean_squared_error_simple(L.Linear(1)(x), x[:, 0])",
        r"t\.reshape\(\(8, 1\)\)",
    ),
    error(
        "One score for two classes",
        "Keras",
        "F.softmax_cross_entropy(L.Linear(1)(x), t % 2)",
        "for one score per example use sigmoid_cross_entropy",
    ),
    error(
        "... in a row",
        "Keras",
        "F.softmax_cross_entropy(L.Linear(1)(x)[:, 0], t % 2)",
        "use sigmoid_cross_entropy",
    ),
    error(
        "Sizes that cannot be made to fit",
        "everyone",
        "F.mean_squared_error(model(x), x[:, :2])",
        "make the last layer's output size match t",
    ),
    error(
        "Labels of -1 without ignore_index",
        "PyTorch",
        "F.softmax_cross_entropy(model(x), np.where(t == 2, -1, t))",
        "ignore_index=-1",
    ),
    error(
        "Scores with classes last",
        "Keras",
        "F.softmax_cross_entropy(L.Linear(3)(images), np.zeros((8, 3, 32), int))",
        r"pass axis=3",
    ),
    error(
        "Labels of -1 and 1 for a sigmoid",
        "everyone",
        "F.sigmoid_cross_entropy(model(x)[:, 0], np.where(t > 0, 1, -1))",
        r"\(t \+ 1\) / 2",
    ),
    error(
        "Three classes for a sigmoid", "everyone", "F.sigmoid_cross_entropy(model(x)[:, 0], t)", "softmax_cross_entropy"
    ),
    error("Pixels as targets", "Keras", "F.binary_cross_entropy(F.sigmoid(v), np.full((8, 4), 255))", "t / 255"),
    error("Targets before scores", "Keras", "F.sigmoid_cross_entropy(t > 0, model(x)[:, 0])", "swapped"),
    warning(
        "Scores for log-probabilities",
        "PyTorch",
        "for _ in range(3):\n    F.nll_loss(model(x), t)",
        r"F\.log_softmax\(log_p\)",
    ),
    warning("... of a divergence", "PyTorch", "F.kl_divergence(model(x), np.full((8, 3), 1 / 3))", r"F\.log_softmax"),
    error("A gradient for backward", "PyTorch", "(v * v).backward(np.ones((8, 4)))", r"y\.grad = gy"),
    silent(
        "... in one's own arithmetic",
        "everyone",
        "((L.Linear(1)(x) - x[:, 0]) ** 2).mean()",
        "Differences of all pairs are written so, and each operation would have to look at its shapes.",
    ),
    silent(
        "A loss of many numbers",
        "PyTorch",
        "(model(x) ** 2).backward()",
        "Without a seed the gradient begins with ones, as in the book: that of the sum.",
    ),
    error("A model for a loss", "Keras", "Trainer(model, optimizer, [(x, t)], 'mse')", "give a function"),
]

TRAINING = [
    error(
        "Parameters given to the optimizer",
        "PyTorch",
        "O.Adam(model.params(), lr=0.01)",
        r"Adam\(lr=0\.001\)\.setup\(model\)",
    ),
    error("... alone", "PyTorch", "O.Adam(list(model.params()))", r"setup\(model\)"),
    error("The model given to the optimizer", "everyone", "O.Adam(model)", r"setup\(model\)"),
    error("parameters()", "PyTorch", "O.Adam(model.parameters())", r"model\.params\(\)"),
    error("momentum of SGD", "PyTorch", "O.SGD(lr=0.1, momentum=0.9)", "MomentumSGD"),
    error("weight_decay", "PyTorch", "O.Adam(weight_decay=1e-4)", "AdamW"),
    error("learning_rate", "Keras", "O.SGD(learning_rate=0.1)", "called lr here"),
    error("A negative rate", "everyone", "O.SGD(lr=-0.1)", "0 <= lr"),
    error("Adagrad", "PyTorch", "O.Adagrad()", "write AdaGrad"),
    error("setup forgotten", "everyone", "O.SGD(lr=0.1).update()", r"call setup\(model\) first"),
    error("step()", "PyTorch", "optimizer.step()", r"write update\(\)"),
    error("zero_grad()", "PyTorch", "optimizer.zero_grad()", r"model\.cleargrads\(\)"),
    warning(
        "update before backward",
        "everyone",
        "for _ in range(3):\n    optimizer.update()",
        r"Call loss\.backward\(\) before",
    ),
    warning(
        "The optimizer of another model",
        "everyone",
        "other = MLP((3,), in_size=4)\nF.softmax_cross_entropy(other(x), t).backward()\noptimizer.update()",
        "the model given to setup",
    ),
    warning(
        "Gradients cleared too late",
        "everyone",
        "F.softmax_cross_entropy(model(x), t).backward()\nmodel.cleargrads()\noptimizer.update()",
        "cleargrads",
    ),
    warning("Everything frozen", "everyone", "model.freeze()\noptimizer.update()", r"unfreeze\(\)"),
    warning(
        "Layers where nobody looks",
        "everyone",
        "class Net(Model):\n    pass\nO.SGD().setup(Net()).update()",
        "has no parameters",
    ),
    silent(
        "Gradients not cleared",
        "PyTorch",
        "for _ in range(2):\n    F.softmax_cross_entropy(model(x), t).backward()\n    optimizer.update()",
        "Gradients add up on purpose, for large batches in small parts.",
    ),
    silent(
        "Losses added up as Variables",
        "PyTorch",
        "total = 0.0\nfor _ in range(3):\n    total += F.softmax_cross_entropy(model(x), t)",
        "Sums of losses are differentiated, too. For a log, write total += float(loss).",
    ),
    silent(
        "Evaluation in training mode",
        "PyTorch",
        "L.Dropout(0.5)(x)",
        "Nothing tells evaluation from training but the switch itself; Trainer sets it.",
    ),
    silent(
        "The seed of NumPy",
        "book",
        "np.random.seed(0)\nL.Linear(3)(x)",
        "passus never reads NumPy's global generator; write passus.random.seed(0).",
    ),
    error(
        "backward under no_grad",
        "everyone",
        "with passus.no_grad():\n    y = model(x)\nF.sum(y).backward()",
        "no graph behind it",
    ),
    error(
        "Slots of a new optimizer",
        "everyone",
        "class Mine(O.Optimizer):\n    def update_one(self, p, g, slots, o):\n        slots['v'] += g\nF.sum(model(x)).backward()\nMine(lr=0.1).setup(model).update()",
        r'slots = \("v",\)',
    ),
    error(
        "An optimizer in another manner",
        "PyTorch",
        "class Mine(O.Optimizer):\n    def step(self): ...\nF.sum(model(x)).backward()\nMine(lr=0.1).setup(model).update()",
        "update_one",
    ),
    warning(
        "A moment that does not come",
        "Keras",
        "class Log(Callback):\n    def on_epoch_end(self, run, row): ...",
        "write on_epoch,",
    ),
    warning(
        "... misspelled", "everyone", "class Log(Callback):\n    def on_epochs(self, run, row): ...", "write on_epoch,"
    ),
    error(
        "Callback without the base",
        "everyone",
        "class Log: ...\nTrainer(model, optimizer, [(x, t)], F.softmax_cross_entropy, callbacks=[Log()])",
        "derive it from Callback",
    ),
    error(
        "The name of an optimizer",
        "Keras",
        "Trainer(model, 'adam', [(x, t)], F.softmax_cross_entropy)",
        "give an optimizer",
    ),
    error(
        "Names of metrics",
        "Keras",
        "Trainer(model, optimizer, [(x, t)], F.softmax_cross_entropy, metrics=['accuracy'])",
        r"\{'accuracy': Accuracy\(\)\}",
    ),
    error(
        "epochs of the trainer",
        "Keras",
        "Trainer(model, optimizer, [(x, t)], F.softmax_cross_entropy, epochs=3)",
        r"fit\(epochs\)",
    ),
    error("Arrays for a dataset", "Keras", "passus.DataLoader((x, t), 2)", r"ArrayDataset\(x, t\)"),
    error(
        "A dataset for a loader",
        "PyTorch",
        "Trainer(model, optimizer, passus.datasets.ArrayDataset(x, t), F.softmax_cross_entropy)",
        r"DataLoader\(dataset, batch_size\)",
    ),
    error(
        "Arrays for a loader",
        "Keras",
        "Trainer(model, optimizer, (x, t), F.softmax_cross_entropy)",
        r"DataLoader\(ArrayDataset\(x, t\), batch_size\)",
    ),
    error(
        "Predictions for a dataset",
        "PyTorch",
        "Trainer(model, optimizer, [(x, t)], F.softmax_cross_entropy).predict(passus.datasets.ArrayDataset(x, t))",
        "shuffle=False",
    ),
    error(
        "Evaluation without data",
        "Keras",
        "Trainer(model, optimizer, [(x, t)], F.softmax_cross_entropy).evaluate()",
        "test_loader",
    ),
    error(
        "A metric of many numbers",
        "everyone",
        "Trainer(model, optimizer, [(x, t)], F.softmax_cross_entropy, metrics={'right': lambda y, t: y.argmax(1) == t}, progress=False).fit(1)",
        r"metric 'right'.*return its mean",
    ),
    error(
        "A metric that returns nothing",
        "everyone",
        "Trainer(model, optimizer, [(x, t)], F.softmax_cross_entropy, metrics={'right': lambda y, t: print(end='')}, progress=False).fit(1)",
        "must return one number",
    ),
    error(
        "The class of a callback",
        "everyone",
        "Trainer(model, optimizer, [(x, t)], F.softmax_cross_entropy, callbacks=[Callback])",
        r"write Callback\(\.\.\.\)",
    ),
    error("Early stopping on accuracy", "Keras", "passus.training.EarlyStopping('test_accuracy')", "mode='max'"),
    error(
        "restore_best_weights", "Keras", "passus.training.EarlyStopping(restore_best_weights=True)", "restore_best here"
    ),
    error(
        "A measure that is not in the history",
        "Keras",
        "Trainer(model, optimizer, [(x, t)], F.softmax_cross_entropy, callbacks=[passus.training.EarlyStopping('val_loss')], progress=False).fit(1)",
        "test_loader",
    ),
    error("The class of a hook", "everyone", "optimizer.add_hook(O.ClipGrad)", r"ClipGrad\(\.\.\.\)"),
    error("learning_rate assigned", "Keras", "optimizer.learning_rate = 0.01", "write lr"),
    error("weight_decay assigned", "PyTorch", "optimizer.weight_decay = 1e-4", "AdamW"),
    error("trainable assigned", "Keras", "model.l0.trainable = False", r"freeze\(\)"),
    warning("trainable of one's own model", "Keras", "class Net(Model): ...\nNet().trainable = False", r"freeze\(\)"),
    warning(
        "training of one's own model", "PyTorch", "class Net(Model): ...\nNet().training = False", r"test_mode\(\)"
    ),
    error("p assigned", "PyTorch", "L.Dropout(0.5).p = 0.1", "dropout_ratio"),
    error("weight assigned", "PyTorch", "L.Linear(3, in_size=4).weight = Parameter(np.zeros((4, 3)))", "weights are W"),
    error("A list of parameters for setup", "PyTorch", "O.Adam().setup([Parameter(x)])", "give a layer or model"),
    error("A schedule around an optimizer", "PyTorch", "passus.schedules.step(optimizer, 10)", r"SGD\(lr=step"),
    error("Variables in a dataset", "everyone", "list(passus.DataLoader([(Variable(x[0]), 0)], 1))", r"x\.data"),
    error("A slice of a dataset", "PyTorch", "passus.datasets.ArrayDataset(x, t)[:4]", "Subset"),
    error("A slice as a subset", "everyone", "passus.datasets.Subset(x, slice(4))", r"np\.arange"),
    error("A file of PyTorch as weights", "PyTorch", "model.load_weights('model.pth')", "load_torch"),
    error("A class for a model", "everyone", "O.SGD().setup(L.Linear)", "Linear is a class"),
    error("num_workers", "PyTorch", "passus.DataLoader(t, 2, num_workers=2)", "called workers here"),
    error("A file that is not there", "everyone", "model.load_weights('nothing.npz')", "no such file"),
]

NAMES = [
    error("eval()", "PyTorch", "model.eval()", r"passus\.test_mode\(\)"),
    error("train()", "PyTorch", "model.train()", r"passus\.test_mode\(\)"),
    error("to('cuda')", "PyTorch", "model.to('cuda')", r"model\.to_gpu\(\)"),
    error("cuda()", "PyTorch", "model.cuda()", r"model\.to_gpu\(\)"),
    error("cpu() of a Variable", "PyTorch", "v.cpu()", r"x\.data"),
    error("numpy()", "PyTorch", "v.numpy()", r"x\.data"),
    error("detach_()", "PyTorch", "v.detach_()", r"x\.detach\(\)"),
    error("view()", "PyTorch", "v.view(4, 8)", r"x\.reshape\(shape\)"),
    error("unsqueeze()", "PyTorch", "v.unsqueeze(0)", r"F\.expand_dims"),
    error("permute()", "PyTorch", "v.permute(1, 0)", r"x\.transpose"),
    error(
        "size()",
        "PyTorch",
        "v.size()",
        "not callable",
        "size is a number, as NumPy's; one that can be called would cost every reader of it.",
    ),
    error(
        "dim", "PyTorch", "v.sum(dim=1)", "unexpected keyword argument 'dim'", "Python says it; NumPy's word is axis."
    ),
    error(
        "no_grad without brackets", "PyTorch", "with passus.no_grad:\n    pass", "context manager", "Python says it."
    ),
    error("grad.zero_()", "PyTorch", "F.sum(v * v).backward()\nv.grad.zero_()", r"x\.cleargrad\(\)"),
    error("weight", "PyTorch", "model.l0.weight", "weights are W"),
    error("tensor", "PyTorch", "passus.tensor([1.0])", r"Variable\(np\.array"),
    error("nn", "PyTorch", "passus.nn.Linear(3)", r"passus\.layers"),
    error("cross_entropy", "PyTorch", "F.cross_entropy(model(x), t)", r"F\.softmax_cross_entropy"),
    error("mse_loss", "PyTorch", "F.mse_loss(v, x)", r"F\.mean_squared_error"),
    error("max_pool2d", "PyTorch", "F.max_pool2d(images, 2)", r"F\.pooling\(x, 2, stride=2\)"),
    error("cat", "PyTorch", "F.cat([v, v])", r"F\.concatenate"),
    error("BatchNorm2d", "PyTorch", "L.BatchNorm2d(16)", r"L\.BatchNorm\(\)"),
    error("MaxPool2d", "PyTorch", "L.MaxPool2d(2)", r"L\.MaxPooling\(2\)"),
    error("CrossEntropyLoss", "PyTorch", "L.CrossEntropyLoss()", r"F\.softmax_cross_entropy"),
    error("Dense", "Keras", "L.Dense(3)", r"L\.Linear\(out_size\)"),
    error("fit()", "Keras", "model.fit(x, t)", r"Trainer\(model, optimizer, loader, loss\)\.fit"),
    error("compile()", "Keras", "model.compile(optimizer='adam')", r"passus\.training\.Trainer"),
    error("summary of layers", "Keras", "L.Sequential(L.Linear(3)).summary(x)", r"passus\.summary\.summary"),
    error("A module that is called", "JAX", "passus.grad(lambda x: x**2)(v)", r"write passus\.grad\.grad"),
    error("A module that is called, too", "Keras", "passus.summary(model, x)", r"write passus\.summary\.summary"),
    error(
        "A function called when it is made",
        "book",
        "class Square(passus.Function):\n    def forward(self, x):\n        return x**2\nSquare(v)",
        r"Square\(\)\(x\)",
    ),
    error(
        "Static methods with ctx",
        "PyTorch",
        "class Square(passus.Function):\n    @staticmethod\n    def forward(ctx, x):\n        return x**2",
        r"def forward\(self",
    ),
    error("apply()", "PyTorch", "class Square(passus.Function): ...\nSquare.apply(v)", r"Square\(\)\(x\)"),
    error("StepLR", "PyTorch", "passus.schedules.StepLR", r"step\(lr, every\)"),
    error("ModelCheckpoint", "Keras", "passus.training.ModelCheckpoint", "Checkpoint"),
    error("F1Score", "Keras", "passus.metrics.F1Score()", r"F1\(classes\)"),
    error("result()", "Keras", "passus.metrics.Accuracy().result()", r"compute\(\)"),
    error("train_test_split", "scikit-learn", "passus.datasets.train_test_split", "random_split"),
    error("predict_proba", "scikit-learn", "model.predict_proba(x)", r"F\.softmax"),
    error("clip_grad_norm_", "PyTorch", "O.clip_grad_norm_(model.params(), 1.0)", "ClipGrad"),
    error("A module for a class", "Keras", "O.adam(0.1)", r"passus\.optimizers\.Adam\(\.\.\.\)"),
    error("... of layers", "everyone", "L.linear(3)", r"passus\.layers\.Linear"),
    error("sort()", "NumPy", "v.sort()", r"F\.sort\(x\)"),
    error("fill()", "NumPy", "v.fill(0.0)", r"x\.data"),
    error("ToTensor", "PyTorch", "T.ToTensor()", r"write ToArray\(\)"),
]

PICTURES = [
    error(
        "Bytes divided by 255 once more",
        "book",
        "T.Normalize(0.0, 255.0)(T.ToArray()(photo.transpose(2, 0, 1)))",
        r"remove Normalize\(0, 255\)",
    ),
    error(
        "Means of 0 to 1 for bytes",
        "PyTorch",
        "T.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])(photo.transpose(2, 0, 1))",
        r"put ToArray\(\) first",
    ),
    error("Colours of 0 to 255", "book", "T.ColorJitter(0.5)(image * 255)", r"divide them by 255"),
    error(
        "Colours after Normalize",
        "everyone",
        "T.ColorJitter(0.5)(T.Normalize(0.5, 0.5)(image))",
        r"put Normalize\(\) after it",
    ),
    error("A filling of 0 to 255", "book", "T.Cutout(8, fill=127)(image)", "fill=127/255"),
    error("Channels last", "Keras", "T.RandomCrop(28)(photo)", r"x\.transpose\(2, 0, 1\)"),
    error("... mirrored", "Keras", "T.RandomHorizontalFlip(1.0)(photo)", r"x\.transpose\(2, 0, 1\)"),
    error("... into ToArray", "Keras", "T.ToArray()(photo)", r"x\.transpose\(2, 0, 1\)"),
    error("A class in Compose", "everyone", "T.Compose([T.ToArray])", r"write ToArray\(\)"),
    error("An array for a picture", "everyone", "T.Resize(8)(photo)", r"put ToPIL\(\) before it"),
]

MISTAKES = [*LAYERS, *DATA, *LOSSES, *TRAINING, *NAMES, *PICTURES]
