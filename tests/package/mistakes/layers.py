"""Mistakes in the construction of layers and models."""

from tests.package.mistakes.entry import error, silent, warning

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
    error("A layer called on construction", "everyone", "L.ReLU(x)", r"ReLU\(\)\(x\)"),
    error("A list of layers", "Keras", "L.Sequential([L.Linear(5), L.ReLU()])", "Sequential\\(\\*layers\\)"),
    error("Sizes without a tuple", "everyone", "MLP(784, 10)", r"in a tuple, as in MLP\(\(784,\)\)"),
    silent(
        "The input size among the sizes",
        "PyTorch",
        "MLP((4, 5, 3))(x)",
        "A network with one more layer is a valid choice, and the intention cannot be detected.",
    ),
    error("The name of an activation", "Keras", "MLP((5, 3), activation='relu')", "give a function"),
    error("Classes of a known model", "everyone", "passus.models.ResNet18(10)", "num_classes=10"),
    error("A layer without forward", "Keras", "class Net(Model):\n    def call(self, x): ...\nNet()(x)", "def forward"),
    error("Layers in a set", "everyone", "model.blocks = {L.Linear(3)}\nlist(model.params())", "use a list"),
    error("Parameter replaced by an array", "everyone", "model.l0.W = np.zeros((4, 5))", r"assign it to W\.data"),
    error("Parameter replaced by a Variable", "everyone", "model.l0.W = Variable(np.zeros((4, 5)))", r"to W\.data"),
    error("Parameter moved by hand", "book", "model.l0.W = model.l0.W - 0.1", r"assign its array to W\.data"),
    silent(
        "A Variable for a Parameter",
        "book",
        "class Net(Model):\n    def __init__(self):\n        self.W = Variable(np.ones((4, 3)))\nNet()",
        "Layers may hold Variables that are not parameters, such as a carried state; the first update warns.",
    ),
    *[
        warning(
            f"A Variable for a Parameter, in {kind}",
            "book",
            f"model.w = {value}\nF.sum(model(x) * {used}).backward()\noptimizer.update()\noptimizer.update()",
            rf"does not change {path}: .*Write Parameter\(\.\.\.\)",
        )
        for kind, value, used, path in (
            ("an attribute", "Variable(np.ones(3))", "model.w", r"MLP\.w"),
            ("a list", "[Variable(np.ones(3))]", "model.w[0]", r"MLP\.w\.0"),
            ("a dict", "{'a': Variable(np.ones(3))}", "model.w['a']", r"MLP\.w\.a"),
            ("a layer", "L.Layer()\nmodel.w.s = Variable(np.ones(3))", "model.w.s", r"MLP\.w\.s"),
        )
    ],
    warning(
        "Variables for all Parameters",
        "book",
        "net = Model()\nnet.w = Variable(np.ones((4, 3)))\nF.sum(v @ net.w).backward()\nO.SGD().setup(net).update()",
        r"Model\.w: a Variable is no parameter\. Write Parameter\(\.\.\.\)",
    ),
    *[
        warning(
            f"{kind} created in forward",
            "everyone",
            f"class Net(Model):\n    def forward(self, x):\n        self.l = {value}\n        return {result}\nnet = Net()\n"
            "for _ in range(3):\n    net(x)",
            r"Net\.l is created again in a call.*in __init__",
        )
        for kind, value, result in (
            ("A layer", "L.Linear(3)", "self.l(x)"),
            ("A parameter", "Parameter(np.ones((4, 3)))", "x @ self.l"),
        )
    ],
    silent(
        "A layer created in the first call",
        "everyone",
        "class Net(Model):\n    l = None\n    def forward(self, x):\n        self.l = self.l or L.Linear(3)\n        return self.l(x)\n"
        "net = Net()\nnet(x)\nnet(x)",
        "The layer is created once, and its parameters are trained.",
    ),
]
