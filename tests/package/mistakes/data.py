"""Mistakes in arrays that are passed to layers and functions."""

from tests.package.mistakes.entry import error, warning

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
        "Gradients of booleans",
        "book",
        "Variable(np.array([True, False])).backward()",
        "start from floating-point numbers",
    ),
    error(
        "Wrong number of features",
        "everyone",
        "model(x)\nmodel(x[:, :3])",
        r"mlp\.l0: linear\(float32\[8, 3\].*x has 3 numbers in its last axis, and W takes",
    ),
    error(
        "Images into a linear layer",
        "everyone",
        "L.Linear(3, in_size=12)(np.ones((2, 3, 4), np.float32))",
        "x has 4 numbers in its last axis, and W takes 12; flatten x first",
    ),
    error(
        "A weight of PyTorch's layout",
        "PyTorch",
        "F.linear(np.ones((2, 3)), np.ones((5, 3)))",
        "x has 3 numbers in its last axis, and W takes 5; a weight",
    ),
    error(
        "A bias of another length",
        "everyone",
        "F.linear(np.ones((2, 3)), np.ones((3, 5)), np.ones(4))",
        r"needs \(5,\)",
    ),
    error(
        "Names as labels",
        "scikit-learn",
        'F.softmax_cross_entropy(x, np.array(["a", "b"] * 4))',
        "return_inverse=True",
    ),
    error("The shape of a weight before the first call", "PyTorch", "L.Linear(3).W.shape", "give it in_size"),
    error(
        "Steps without a graph", "everyone", "with passus.no_grad():\n    y = v * 2\npassus.steps(y)", "gradients=False"
    ),
    warning("Channels last", "Keras", "L.Conv2d(4, 3)(images.transpose(0, 2, 3, 1))", r"transpose\(0, 3, 1, 2\)"),
    error(
        "Channels last with in_channels",
        "Keras",
        "L.Conv2d(4, 3, in_channels=3)(images.transpose(0, 2, 3, 1))",
        r"transpose\(0, 3, 1, 2\)",
    ),
    warning(
        "Channels last into a norm", "Keras", "L.BatchNorm()(images.transpose(0, 2, 3, 1))", r"transpose\(0, 3, 1, 2\)"
    ),
    error("An image without a batch", "everyone", "L.Conv2d(4, 3)(image)", r"x\[None\]"),
    error("Rows into a convolution", "everyone", "L.Conv2d(4, 3)(images.reshape(8, -1))", r"x\.reshape\(N, C, H, W\)"),
    error("Token ids that are not integers", "everyone", "L.Embedding(10, 4)(x)", r"astype\(np\.int64\)"),
    error("Token ids out of range", "everyone", "L.Embedding(2, 4)(t)", "index 2 is out of range"),
    error("Elements assigned", "NumPy", "v[0] = 1.0", r"F\.where\(mask, v, x\)"),
    error("Softmax of one example", "NumPy", "F.softmax(x[0])", r"axis=-1"),
    error("Arrays not in a list", "everyone", "F.concatenate(x, x)", r"concatenate\(\[a, b\]\)"),
    error("Scores of SciPy", "SciPy", "import scipy.special\nscipy.special.erf(v)", r"write F\.erf\(x\)"),
    error("An array as a condition", "NumPy", "if v > 0: pass", "a.any", "The error of NumPy is well known."),
]
