"""Replacements for attributes and methods of objects in other libraries: one table for each class of passus."""

from __future__ import annotations

__all__ = ["CALLBACK_METHODS", "FUNCTION", "LAYER", "METRIC", "OPTIMIZER", "VARIABLE"]

VARIABLE = {
    "numpy": "the array is x.data",
    "cpu": "the array is x.data; x.to_cpu() moves it to main memory",
    **dict.fromkeys(("to", "cuda"), 'for another dtype write x.astype(dtype), for another device x.to_device("gpu")'),
    "device": "the array x.data determines the device",
    "detach_": "write x.detach() or x.unchain()",
    "requires_grad_": "write x.requires_grad = True",
    **dict.fromkeys(("zero_grad", "zero_"), "write x.cleargrad()"),
    "retain_grad": "write y.backward(retain_grad=True)",
    "grad_fn": "write x.creator",
    "is_leaf": "write x.creator is None",
    "register_hook": "write x.add_gradient_hook(f) to observe the gradient; to change it, define a Function whose backward does it",
    "clone": "write x + 0, or x.data.copy()",
    "view": "write x.reshape(shape)",
    "view_as": "write x.reshape(y.shape)",
    "unsqueeze": "write F.expand_dims(x, axis)",
    "permute": "write x.transpose(0, 2, 1)",
    "t": "write x.T",
    "contiguous": "not needed; every memory layout works",
    "expand": "write F.broadcast_to(x, shape)",
    "expand_as": "write F.broadcast_to(x, y.shape)",
    "chunk": "write F.split(x, sections)",
    "cat": "write F.concatenate([x, y])",
    "dim": "write x.ndim",
    "numel": "write x.size",
    "nelement": "write x.size",
    **dict.fromkeys(("float", "type"), "write x.astype(np.float32)"),
    "double": "write x.astype(np.float64)",
    "half": "write x.astype(np.float16)",
    **dict.fromkeys(("long", "int", "bool"), "convert the array: x.data.astype(np.int64)"),
    **dict.fromkeys(("mm", "bmm", "mv"), "write x @ y"),
    **dict.fromkeys(("add_", "sub_", "mul_", "div_", "copy_", "fill_"), "make a new Variable, or edit x.data"),
    **dict.fromkeys(("assign", "assign_add", "assign_sub"), "write x.data = array"),
    "clamp": "write x.clip(x_min, x_max)",
    "gather": "write F.take_along_axis(x, indices, axis)",
    "masked_fill": "write F.where(mask, value, x)",
    "at": "make a new Variable with F.where",
    **dict.fromkeys(("sort", "partition"), "write F.sort(x); x.data.sort() sorts the array in place"),
    **dict.fromkeys(("fill", "put", "resize", "setflags"), "make a new Variable, or edit x.data"),
    **{
        name: f"read x.data.{name}"
        for name in ("nbytes", "itemsize", "strides", "flags", "flat", "base", "tobytes", "byteswap", "dump", "tofile")
    },
    **{
        name: f"write F.{name}(x)"
        for name in ("abs", "cos", "erf", "exp", "log", "log_softmax", "norm", "relu", "sigmoid", "sin", "softmax")
    },
    **{name: f"write F.{name}(x)" for name in ("sqrt", "square", "tanh", "flip")},
    "pow": "write x**c",
    "add": "write x + y",
    "sub": "write x - y",
    "mul": "write x * y",
    "div": "write x / y",
}

FUNCTION = {
    "apply": "make an instance and call it: Square()(x)",
    "save_for_backward": "read self.input in backward, or store what is needed on self",
    "saved_tensors": "read self.input in backward, or what forward stored on self",
    "needs_input_grad": "write self.needs",
    "mark_non_differentiable": "return None as its gradient",
}

LAYER = {
    "eval": "evaluate in a block: with passus.test_mode():",
    "train": "models are in training mode by default; evaluate in a block: with passus.test_mode():",
    "training": "read passus.Config.train, and evaluate in a block: with passus.test_mode():",
    **dict.fromkeys(
        ("to", "cuda"), "write model.to_gpu() or model.to_device(...), or pass dtype when a layer is created"
    ),
    "cpu": "write model.to_cpu()",
    **dict.fromkeys(("parameters", "trainable_variables", "trainable_weights"), "write model.params()"),
    "named_parameters": "write model.named_params()",
    "zero_grad": "write model.cleargrads()",
    **dict.fromkeys(("modules", "named_modules", "children", "named_children"), "write model.named_layers()"),
    "buffers": "write model.named_buffers()",
    **dict.fromkeys(
        ("requires_grad_", "requires_grad", "trainable"),
        "write model.freeze() or model.unfreeze(); a Parameter has requires_grad",
    ),
    "register_parameter": "assign a Parameter to an attribute",
    **dict.fromkeys(("add_module", "register_module", "add_link"), "assign the layer to an attribute"),
    **dict.fromkeys(("half", "double", "float"), "pass dtype when the layer is created: L.Linear(3, dtype=np.float64)"),
    **dict.fromkeys(("weight", "kernel"), "the weights are W"),
    "bias": "the bias is b",
    **dict.fromkeys(("running_mean", "moving_mean"), "the average is avg_mean"),
    **dict.fromkeys(("running_var", "moving_variance"), "the average is avg_var"),
    "fit": "write passus.training.Trainer(model, optimizer, loader, loss).fit(epochs)",
    "compile": "give optimizer and loss to passus.training.Trainer",
    **dict.fromkeys(("predict_proba", "predict_on_batch"), "write model.predict(x), and F.softmax of its scores"),
    "predict_classes": "write model.predict(x).argmax(axis=1)",
    "transform": "write model.predict(x)",
    "evaluate": "write passus.training.Trainer(...).evaluate(loader)",
    "get_weights": "write model.state_dict()",
    "set_weights": "write model.load_state_dict(state)",
    "save": "write model.save_weights(path)",
    "load": "write model.load_weights(path)",
    "from_pretrained": "write model.load_weights(path), or models.GPT.from_folder(folder)",
    "add": "write append(layer), or assign the layer to an attribute",
    "build": "sizes are inferred on the first call",
    "add_weight": "assign a Parameter to an attribute",
    "summary": "write print(passus.summary.summary(layer, x)); models.Sequential and all other models have it",
    "plot": "derive from passus.Model, or write passus.utils.plot_dot_graph(layer(x))",
    "register_forward_hook": "write layer.add_forward_hook(f)",
    "copy": "write copy.deepcopy(layer)",
    "namedparams": "write model.named_params()",
    "serialize": "write model.state_dict()",
}

OPTIMIZER = {
    "zero_grad": "write model.cleargrads()",
    "param_groups": "use add_group(path, lr=...)",
    "learning_rate": "write lr",
    **dict.fromkeys(("apply_gradients", "minimize"), "write loss.backward(), then optimizer.update()"),
    "add_param_group": "write add_group(path, lr=...)",
}

METRIC = {
    "result": "write compute()",
    "update_state": "write update(y, t): the prediction comes first",
    **dict.fromkeys(("reset_state", "reset_states"), "write reset()"),
}

CALLBACK_METHODS = {
    "on_train_begin": "on_start",
    "on_train_start": "on_start",
    "on_fit_start": "on_start",
    "on_epoch_end": "on_epoch",
    "on_train_epoch_end": "on_epoch",
    "on_validation_end": "on_epoch",
    "on_validation_epoch_end": "on_epoch",
    "on_test_end": "on_epoch",
    "on_batch_end": "on_step",
    "on_train_batch_end": "on_step",
    "on_train_end": "on_finish",
    "on_fit_end": "on_end",
    "on_exception": "on_end",
    "on_keyboard_interrupt": "on_interrupt",
}
"""Callback methods of other libraries, and ours."""
