"""Names that readers bring along from other libraries, and what they are called here: a table for each module or class.

`passus.answers` lets modules and classes answer for them.
"""

from __future__ import annotations

__all__ = [
    "CUDA",
    "DATASETS",
    "FUNCTION",
    "FUNCTIONS",
    "LAYER",
    "LAYERS",
    "METRIC",
    "METRICS",
    "MODELS",
    "MOMENTS",
    "OPTIMIZER",
    "OPTIMIZERS",
    "OPTIONS",
    "PACKAGE",
    "SCHEDULES",
    "TRAINING",
    "TRANSFORMS",
    "UFUNCS",
    "VARIABLE",
]

PACKAGE = {
    **dict.fromkeys(("tensor", "Tensor", "as_tensor", "from_numpy", "array"), "write Variable(np.array(...))"),
    "nn": "layers are in passus.layers, functions of arrays in passus.functions",
    "optim": "optimizers are in passus.optimizers",
    "autograd": "write passus.grad.grad(f), or y.backward() and x.grad",
    "Module": "write passus.Model or passus.Layer",
    "Sequential": "write passus.models.Sequential",
    "manual_seed": "write passus.random.seed(0)",
    "save": "write model.save_weights(path)",
    "load": "write model.load_weights(path)",
    "device": "computation follows the arrays; see model.to_gpu()",
    "inference_mode": "write passus.no_grad()",
    **dict.fromkeys(
        ("clip_grad_norm_", "clip_grad_norm"), "write optimizer.add_hook(passus.optimizers.ClipGrad(max_norm))"
    ),
    **dict.fromkeys(
        ("zeros", "ones", "randn", "rand", "arange"), "make the array with NumPy: Variable(np.zeros(shape, np.float32))"
    ),
    "Trainer": "write passus.training.Trainer",
    "EarlyStopping": "write passus.training.EarlyStopping",
    "keras": "layers are in passus.layers, models in passus.models",
    "GradientTape": "operations are recorded by default; write y.backward()",
    "jit": "operations run eagerly",
    "numpy": "import numpy as np; its functions take Variables",
}

CUDA = {
    "is_available": "read passus.cuda.gpu_enable",
    **dict.fromkeys(("device", "set_device"), "CuPy selects the device; models and loaders have to_gpu()"),
    **dict.fromkeys(("to_cpu", "asnumpy"), "write passus.cuda.as_numpy(x)"),
    **dict.fromkeys(("to_gpu",), "write passus.cuda.as_cupy(x)"),
}

FUNCTIONS = {
    **dict.fromkeys(
        ("cross_entropy", "sparse_categorical_crossentropy", "categorical_crossentropy"),
        "write F.softmax_cross_entropy(x, t), where x are logits",
    ),
    **dict.fromkeys(("mse_loss", "mse"), "write F.mean_squared_error(x, t)"),
    **dict.fromkeys(("smooth_l1_loss", "huber_loss"), "write F.huber(x, t)"),
    **dict.fromkeys(("mae", "mean_absolute_error"), "write F.l1_loss(x, t)"),
    **dict.fromkeys(
        ("binary_cross_entropy_with_logits", "bce_with_logits"),
        "write F.sigmoid_cross_entropy(x, t)",
    ),
    **dict.fromkeys(("bce", "bce_loss", "binary_crossentropy"), "write F.binary_cross_entropy(p, t)"),
    **dict.fromkeys(("kl_div", "kldiv"), "write F.kl_divergence(log_q, p)"),
    "hinge_loss": "write F.hinge(x, t)",
    "triplet_margin_loss": "write F.triplet_loss",
    **dict.fromkeys(("max_pool1d", "max_pool2d", "max_pool3d", "max_pooling_2d"), "write F.pooling(x, 2, stride=2)"),
    **dict.fromkeys(
        ("avg_pool1d", "avg_pool2d", "avg_pool3d", "average_pooling_2d"), "write F.average_pooling(x, 2, stride=2)"
    ),
    **dict.fromkeys(("adaptive_avg_pool1d", "adaptive_avg_pool2d"), "write F.adaptive_average_pooling(x, outsize)"),
    **dict.fromkeys(("adaptive_max_pool1d", "adaptive_max_pool2d"), "write F.adaptive_max_pooling(x, outsize)"),
    "max_unpool2d": "write F.unpooling(x, indices, outsize)",
    **{f"conv_transpose{n}d": f"write F.deconv{n}d" for n in (1, 2, 3)},
    **dict.fromkeys(("interpolate", "upsample"), "write F.resize"),
    **dict.fromkeys(("unfold",), "write F.im2col"),
    **dict.fromkeys(("fold",), "write F.col2im"),
    "embedding": "write F.embed_id(indices, W)",
    "onehot": "write F.one_hot(t, classes)",
    "normalize": "write x / F.norm(x, axis=1, keepdims=True)",
    "swish": "write F.silu",
    "logsoftmax": "write F.log_softmax",
    **dict.fromkeys(("cat", "concat", "hconcat"), "write F.concatenate([x0, x1], axis=0)"),
    "permute": "write F.transpose(x, (0, 2, 1))",
    "unsqueeze": "write F.expand_dims(x, axis)",
    "view": "write F.reshape(x, shape)",
    "mm": "write x @ W",
    "bmm": "write x @ y, which takes batches",
    "clamp": "write F.clip(x, x_min, x_max)",
    "gather": "write F.take_along_axis(x, indices, axis)",
    "sub_": "write x - y",
    "reduce_sum": "write F.sum",
    "reduce_mean": "write F.mean",
}

LAYERS = {
    **dict.fromkeys(("Dense", "FullyConnected", "LazyLinear", "FC"), "write L.Linear(out_size)"),
    **dict.fromkeys(("Module", "Chain"), "write passus.Model or L.Layer"),
    **dict.fromkeys(
        ("ModuleList", "ModuleDict", "ParameterList", "ChainList"), "assign a plain list or dict of layers"
    ),
    "Parameter": "write passus.Parameter",
    **{f"LazyConv{n}d": f"write L.Conv{n}d(out_channels, kernel_size)" for n in (1, 2, 3)},
    **{f"Conv{n}D": f"write L.Conv{n}d(out_channels, kernel_size)" for n in (1, 2, 3)},
    **{f"ConvTranspose{n}d": f"write L.Deconv{n}d(out_channels, kernel_size)" for n in (1, 2, 3)},
    **{f"Conv{n}DTranspose": f"write L.Deconv{n}d(out_channels, kernel_size)" for n in (1, 2, 3)},
    **dict.fromkeys(("Convolution2D", "Conv"), "write L.Conv2d(out_channels, kernel_size)"),
    **dict.fromkeys(
        ("BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "BatchNormalization", "SyncBatchNorm"),
        "write L.BatchNorm(), for any number of axes",
    ),
    **dict.fromkeys(("InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"), "write L.InstanceNorm()"),
    "LayerNormalization": "write L.LayerNorm()",
    **dict.fromkeys(("MaxPool1d", "MaxPool2d", "MaxPool3d", "MaxPooling2D", "MaxPool2D"), "write L.MaxPooling(2)"),
    **dict.fromkeys(("AvgPool1d", "AvgPool2d", "AvgPool3d", "AveragePooling2D"), "write L.AveragePooling(2)"),
    **dict.fromkeys(("AdaptiveAvgPool1d", "AdaptiveAvgPool2d"), "write L.AdaptiveAveragePooling(outsize)"),
    **dict.fromkeys(("AdaptiveMaxPool1d", "AdaptiveMaxPool2d"), "write L.AdaptiveMaxPooling(outsize)"),
    **dict.fromkeys(("MaxUnpool2d",), "write L.MaxUnpooling(2)"),
    **dict.fromkeys(("GlobalAveragePooling2D", "GlobalAvgPool2d"), "write L.GlobalAveragePooling()"),
    **dict.fromkeys(("GlobalMaxPooling2D", "GlobalMaxPool2d"), "write L.GlobalMaxPooling()"),
    **dict.fromkeys(("UpSampling2D", "UpsamplingNearest2d"), "write L.Upsample"),
    "Embed": "write L.Embedding(in_size, out_size)",
    "Dropout1d": "write L.Dropout2d, for any number of axes",
    "Swish": "write L.SiLU()",
    "Hardswish": "write L.HardSwish()",
    "Hardsigmoid": "write L.HardSigmoid()",
    "Activation": "pass the function itself, such as F.relu",
    "Input": "sizes are inferred on the first call",
    "Lambda": "L.Sequential takes plain functions",
    "Identity": "L.Sequential takes plain functions, such as lambda x: x",
    "CrossEntropyLoss": "losses are functions: F.softmax_cross_entropy(x, t)",
    "NLLLoss": "losses are functions: F.nll_loss(log_p, t)",
    "MSELoss": "losses are functions: F.mean_squared_error(x, t)",
    "L1Loss": "losses are functions: F.l1_loss(x, t)",
    "SmoothL1Loss": "losses are functions: F.huber(x, t)",
    "BCELoss": "losses are functions: F.binary_cross_entropy(p, t)",
    "BCEWithLogitsLoss": "losses are functions: F.sigmoid_cross_entropy(x, t)",
    "CTCLoss": "losses are functions: F.ctc_loss(x, t)",
    "KLDivLoss": "losses are functions: F.kl_divergence(log_q, p)",
    "MultiheadAttention": "write MultiHeadAttention",
    "Transformer": "combine L.TransformerEncoder and L.TransformerDecoder",
    "functional": "functions are in passus.functions",
    "init": "initializers are in passus.initializers",
}

OPTIMIZERS = {
    "Adagrad": "write AdaGrad",
    "Adadelta": "write AdaDelta",
    "Momentum": "write MomentumSGD",
    "RMSProp": "write RMSprop",
    "Adamax": "use Adam",
    "NadamW": "use AdamW",
    "Nadam": "write NAdam",
    "lr_scheduler": "schedules are in passus.schedules; give one as lr",
    **dict.fromkeys(
        ("GradientClipping", "clip_grad_norm_", "clip_grad_norm"), "write optimizer.add_hook(ClipGrad(max_norm))"
    ),
    **dict.fromkeys(("clip_grad_value_",), "write optimizer.add_hook(ClipValue(max_value))"),
    **dict.fromkeys(("ExponentialMovingAverage", "AveragedModel"), "write EMA(model, decay)"),
}

TRANSFORMS = {
    **dict.fromkeys(("ToTensor", "PILToTensor"), "write ToArray()"),
    "ToPILImage": "write ToPIL()",
    **dict.fromkeys(("ConvertImageDtype", "ToDtype"), "write AsType(dtype)"),
    "Grayscale": "write Convert('L')",
    "Lambda": "Compose takes plain functions",
    **dict.fromkeys(
        ("RandomAffine", "RandomPerspective", "GaussianBlur", "RandomGrayscale"),
        "Compose takes plain functions; write one with Pillow",
    ),
    **dict.fromkeys(("RandomFlip",), "write RandomHorizontalFlip() or RandomVerticalFlip()"),
    "Rescale": "write ToArray(), which brings pixels to 0..1",
    "Pad": "RandomCrop has padding; for a fixed border write lambda x: np.pad(x, ...)",
    "MixUp": "write Mixup",
}

METRICS = {
    **dict.fromkeys(
        ("accuracy_score", "SparseCategoricalAccuracy", "CategoricalAccuracy", "categorical_accuracy"),
        "write Accuracy(), or accuracy(y, t)",
    ),
    **dict.fromkeys(
        ("BinaryAccuracy", "binary_accuracy"),
        "give a function: metrics={'accuracy': lambda y, t: ((y.data > 0) == t).mean()}",
    ),
    **dict.fromkeys(("f1_score", "F1Score"), "write F1(classes), or f1(y, t, classes)"),
    **dict.fromkeys(("roc_auc_score", "AUROC"), "write AUC(), or auc(y, t)"),
    **dict.fromkeys(("r2_score", "R2Score"), "write R2(), or r2(y, t)"),
    **dict.fromkeys(("mean_absolute_error", "MeanAbsoluteError"), "write MAE(), or mae(y, t)"),
    **dict.fromkeys(
        ("MSE", "mse", "mean_squared_error", "MeanSquaredError"),
        "give a function: metrics={'mse': F.mean_squared_error}",
    ),
    **dict.fromkeys(
        ("RMSE", "rmse", "root_mean_squared_error", "RootMeanSquaredError"),
        "give F.mean_squared_error as a metric and take the root of its mean",
    ),
    **dict.fromkeys(
        ("precision", "Precision", "precision_score"), "write ConfusionMatrix(classes); its precision() has each class"
    ),
    **dict.fromkeys(
        ("recall", "Recall", "recall_score"), "write ConfusionMatrix(classes); its recall() has each class"
    ),
    **dict.fromkeys(("WER", "wer"), "write WordErrorRate(), or word_error_rate(y, t)"),
    **dict.fromkeys(("CER", "cer", "CharErrorRate"), "write CharacterErrorRate(), or character_error_rate(y, t)"),
    **dict.fromkeys(("levenshtein", "levenshtein_distance", "EditDistance"), "write edit_distance(a, b)"),
    **dict.fromkeys(("BPC", "bpc", "bits_per_byte"), "write BitsPerCharacter(), or bits_per_character(y, t)"),
    **dict.fromkeys(
        ("top_k_accuracy_score", "TopKCategoricalAccuracy", "SparseTopKCategoricalAccuracy"), "write TopKAccuracy(k)"
    ),
}

METRIC = {
    "result": "write compute()",
    "update_state": "write update(y, t): the prediction comes first",
    **dict.fromkeys(("reset_state", "reset_states"), "write reset()"),
}

SCHEDULES = {
    "StepLR": "write step(lr, every), and give it to the optimizer as lr",
    "MultiStepLR": "write multi_step",
    **dict.fromkeys(("ExponentialLR", "ExponentialDecay"), "write exponential"),
    **dict.fromkeys(("CosineAnnealingLR", "CosineDecay"), "write cosine(lr, steps), counted in updates"),
    **dict.fromkeys(("CosineAnnealingWarmRestarts", "CosineDecayRestarts"), "write cosine_restarts"),
    "OneCycleLR": "write one_cycle",
    **dict.fromkeys(("PolynomialLR", "PolynomialDecay", "LinearLR"), "write polynomial"),
    "ConstantLR": "write constant",
    "SequentialLR": "write join",
    **dict.fromkeys(("LambdaLR", "LearningRateScheduler", "LearningRateSchedule"), "give a function of the step as lr"),
    **dict.fromkeys(("ReduceLROnPlateau",), "write OnPlateau, and add ReportPlateau to the callbacks of a Trainer"),
}

TRAINING = {
    "ModelCheckpoint": "write Checkpoint(folder, monitor=...)",
    **dict.fromkeys(("CSVLogger",), "write CSVLog"),
    **dict.fromkeys(("TensorBoard", "TensorBoardLogger", "SummaryWriter"), "write TensorBoardLog"),
    "ReduceLROnPlateau": "write passus.schedules.OnPlateau for lr, and ReportPlateau among the callbacks",
    **dict.fromkeys(("LearningRateScheduler", "LearningRateMonitor"), "give a schedule of passus.schedules as lr"),
    "LambdaCallback": "derive from Callback",
    "tqdm": "write progress_bar",
    "fit": "write Trainer(model, optimizer, loader, loss).fit(epochs)",
}

TEXT = {
    **dict.fromkeys(("AutoTokenizer", "PreTrainedTokenizerFast", "from_pretrained"), "write load_tokenizer(path)"),
    **dict.fromkeys(("GPT2Tokenizer", "GPT2TokenizerFast"), "write BPETokenizer.from_files(vocabulary, merges)"),
    **dict.fromkeys(("CharacterTokenizer", "CharLevelTokenizer"), "write CharTokenizer.from_text(text)"),
    **dict.fromkeys(("pad_sequence", "pad_sequences"), "write passus.dataloaders.pad_sequences(sequences)"),
}

DATASETS = {
    **dict.fromkeys(("train_test_split", "split"), "write random_split(dataset, [0.8, 0.2], rng=0)"),
    "ConcatDataset": "concatenate the arrays, or derive from Dataset",
    "SubsetRandomSampler": "write Subset(dataset, indices)",
    **dict.fromkeys(("TensorDataset", "TupleDataset"), "write ArrayDataset(x, t)"),
    "DataLoader": "write passus.DataLoader",
    "ImageFolder": "derive from Dataset",
    "Iris": "give its arrays to ArrayDataset(x, t)",
}

MODELS = {
    **{f"resnet{n}": f"write ResNet{n}()" for n in (18, 34, 50, 101, 152)},
    "vgg16": "write VGG16()",
    "mobilenet_v2": "write MobileNetV2()",
    **dict.fromkeys(
        ("AutoModelForCausalLM", "GPT2LMHeadModel", "LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM"),
        "write GPT.from_folder(folder)",
    ),
    "SentenceTransformer": "write SentenceEncoder(weights=path, vocabulary=path)",
    "Functional": "derive from Model and write forward",
}

VARIABLE = {
    "numpy": "the array is x.data",
    "cpu": "the array is x.data; passus.cuda.as_numpy copies from a GPU",
    **dict.fromkeys(("to", "cuda"), "for another dtype write x.astype(dtype); a model moves with model.to_gpu()"),
    "device": "the array x.data knows where it is",
    **dict.fromkeys(("detach_",), "write x.detach() or x.unchain()"),
    **dict.fromkeys(("requires_grad_",), "write x.requires_grad = True"),
    **dict.fromkeys(("zero_grad", "zero_"), "write x.cleargrad()"),
    **dict.fromkeys(("retain_grad",), "write y.backward(retain_grad=True)"),
    "grad_fn": "write x.creator",
    "is_leaf": "write x.creator is None",
    "register_hook": "derive a Function whose backward does it",
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
    "save_for_backward": "read self.input in backward, or keep what is needed on self",
    "saved_tensors": "read self.input in backward, or what forward kept on self",
    "needs_input_grad": "write self.needs",
    "mark_non_differentiable": "return None as its gradient",
}

LAYER = {
    "eval": "evaluate in a block: with passus.test_mode():",
    "train": "models are in training mode by default; evaluate in a block: with passus.test_mode():",
    "training": "read passus.Config.train, and evaluate in a block: with passus.test_mode():",
    **dict.fromkeys(("to", "cuda"), "write model.to_gpu(), or give a layer its dtype when it is made"),
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
    **dict.fromkeys(
        ("half", "double", "float"), "give a layer its dtype when it is made: L.Linear(3, dtype=np.float64)"
    ),
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
    "register_forward_hook": "call the parts one by one; layer.outputs holds what the last call returned",
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

UFUNCS = {
    "erf": "write F.erf(x)",
    "expit": "write F.sigmoid(x)",
    "log_expit": "write -F.softplus(-x)",
    "relu": "write F.relu(x)",
    "xlogy": "write x * F.log(y)",
    "xlog1py": "write x * F.log1p(y)",
    "exp10": "write 10**x",
    "logit": "write F.log(x / (1 - x))",
    "ndtr": "write (1 + F.erf(x / 2**0.5)) / 2",
    "erfc": "write 1 - F.erf(x)",
}
"""Ufuncs of SciPy."""

OPTIONS = {
    "bias": "it is called nobias here: bias=False is nobias=True",
    "use_bias": "it is called nobias here: use_bias=False is nobias=True",
    "padding": "it is called pad here",
    "strides": "it is called stride here",
    "padding_mode": "it is called pad_mode here",
    "dilation_rate": "it is called dilation here",
    "in_features": "it is called in_size here",
    "input_dim": "it is called in_size here",
    "num_embeddings": "it is called in_size here",
    "num_features": "it is called in_size here, and is inferred on the first call",
    "normalized_shape": "it is called in_size here, the length of the last axis",
    "input_shape": "sizes are inferred on the first call",
    "out_features": "it is called out_size here",
    "units": "it is called out_size here",
    "output_dim": "it is called out_size here",
    "embedding_dim": "it is called out_size here",
    "filters": "it is called out_channels here",
    "num_groups": "it is called groups here",
    "num_channels": "it is called in_size here",
    "num_parameters": "it is called channels here",
    "p": "it is called dropout_ratio here",
    "rate": "it is called dropout_ratio here",
    "negative_slope": "it is called slope here",
    "dim": "it is called axis here",
    "inplace": "nothing is computed in place; leave it out",
    "output_size": "it is called outsize here",
    "scale_factor": "it is called scale here",
    "size": "F.resize(x, size) brings images to a size",
    "pool_size": "it is called kernel_size here",
    "epsilon": "it is called eps here",
    "device": "models move with to_gpu(); leave it out",
    "kernel_initializer": "it is called initializer here, a function of passus.initializers",
    "learning_rate": "it is called lr here",
    "momentum": "momentum belongs to MomentumSGD(lr, momentum) and Nesterov; for BatchNorm, decay=0.9 is momentum=0.1",
    "nesterov": "Nesterov(lr, momentum) is an optimizer of its own",
    "weight_decay": "write AdamW, or optimizer.add_hook(WeightDecay(rate))",
    "amsgrad": "AMSGrad is an optimizer of its own",
    "beta_1": "it is called beta1 here, or betas=(beta1, beta2)",
    "beta_2": "it is called beta2 here, or betas=(beta1, beta2)",
    "params": "pass the model to setup: Adam(lr=0.001).setup(model)",
    "num_workers": "it is called workers here",
    "sampler": "use rng for the shuffling, or order the dataset, as with Subset",
    "pin_memory": "leave it out",
    "collate_fn": "it is called collate here",
    "epochs": "write Trainer(...).fit(epochs)",
    "val_loader": "it is called test_loader here",
    "restore_best_weights": "it is called restore_best here",
    "save_best_only": "a Checkpoint keeps the best beside the newest ones: give monitor",
    **dict.fromkeys(("filepath", "dirpath"), "it is called folder here"),
    **dict.fromkeys(("steps", "accumulation_steps", "accumulate_grad_batches"), "it is called every here"),
    "verbose": "leave it out",
    "clipnorm": "write optimizer.add_hook(ClipGrad(max_norm))",
}
"""Keyword arguments of layers and optimizers."""


MOMENTS = {
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
"""Moments at which callbacks of other libraries are called, and ours."""
