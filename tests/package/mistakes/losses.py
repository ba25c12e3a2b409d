"""Mistakes in predictions and targets of losses."""

from tests.package.mistakes.entry import error, silent, warning

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
        "Mismatched sizes",
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
        "... in user code",
        "everyone",
        "((L.Linear(1)(x) - x[:, 0]) ** 2).mean()",
        "Differences of all pairs are written this way, and every operation would have to inspect its shapes.",
    ),
    silent(
        "A loss of many numbers",
        "PyTorch",
        "(model(x) ** 2).backward()",
        "Without a seed, the gradient is that of the sum, as in the book.",
    ),
    error("A model for a loss", "Keras", "Trainer(model, optimizer, [(x, t)], 'mse')", "give a function"),
]
