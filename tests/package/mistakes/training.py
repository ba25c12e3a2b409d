"""Mistakes with optimizers, callbacks, the trainer, loaders and files."""

from tests.package.mistakes.entry import error, silent, warning

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
        "A model without registered layers",
        "everyone",
        "class Net(Model):\n    pass\nO.SGD().setup(Net()).update()",
        "has no parameters",
    ),
    silent(
        "Gradients not cleared",
        "PyTorch",
        "for _ in range(2):\n    F.softmax_cross_entropy(model(x), t).backward()\n    optimizer.update()",
        "Gradients accumulate by design, for large batches in small pieces.",
    ),
    silent(
        "Losses added up as Variables",
        "PyTorch",
        "total = 0.0\nfor _ in range(3):\n    total += F.softmax_cross_entropy(model(x), t)",
        "Sums of losses are differentiable. For a log, write total += float(loss).",
    ),
    silent(
        "Evaluation in training mode",
        "PyTorch",
        "L.Dropout(0.5)(x)",
        "Only the switch distinguishes evaluation from training; Trainer sets it.",
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
        "Undeclared slots of a user-defined optimizer",
        "everyone",
        "class Mine(O.Optimizer):\n    def update_one(self, p, g, slots, o):\n        slots['v'] += g\nF.sum(model(x)).backward()\nMine(lr=0.1).setup(model).update()",
        r'slots = \("v",\)',
    ),
    error(
        "A user-defined optimizer without update_one",
        "PyTorch",
        "class Mine(O.Optimizer):\n    def step(self): ...\nF.sum(model(x)).backward()\nMine(lr=0.1).setup(model).update()",
        "update_one",
    ),
    warning(
        "An unknown callback event",
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
        "A measure missing in the history",
        "Keras",
        "Trainer(model, optimizer, [(x, t)], F.softmax_cross_entropy, callbacks=[passus.training.EarlyStopping('val_loss')], progress=False).fit(1)",
        "test_loader",
    ),
    error("The class of a hook", "everyone", "optimizer.add_hook(O.ClipGrad)", r"ClipGrad\(\.\.\.\)"),
    error("learning_rate assigned", "Keras", "optimizer.learning_rate = 0.01", "write lr"),
    error("weight_decay assigned", "PyTorch", "optimizer.weight_decay = 1e-4", "AdamW"),
    error("trainable assigned", "Keras", "model.l0.trainable = False", r"freeze\(\)"),
    warning(
        "trainable of a user-defined model", "Keras", "class Net(Model): ...\nNet().trainable = False", r"freeze\(\)"
    ),
    warning(
        "training of a user-defined model", "PyTorch", "class Net(Model): ...\nNet().training = False", r"test_mode\(\)"
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
    error("A missing file", "everyone", "model.load_weights('nothing.npz')", "no such file"),
]
