"""Replacements for names in modules of other libraries: one table for each module of passus."""

from __future__ import annotations

__all__ = [
    "CUDA",
    "DATASETS",
    "DEZERO",
    "LAYERS",
    "METRICS",
    "MODELS",
    "OPTIMIZERS",
    "PACKAGE",
    "SCHEDULES",
    "TEXT",
    "TRAINING",
    "TRANSFORMS",
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
    "device": "the arrays determine the device; see model.to_gpu()",
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

DEZERO = {
    name: f"it is passus.{name}; write passus where a program has dezero"
    for name in (
        "Config",
        "DataLoader",
        "Function",
        "Layer",
        "Model",
        "Parameter",
        "SeqDataLoader",
        "Variable",
        "as_array",
        "as_variable",
        "core",
        "cuda",
        "dataloaders",
        "datasets",
        "functions",
        "is_simple_core",
        "layers",
        "models",
        "no_grad",
        "optimizers",
        "setup_variable",
        "test_mode",
        "transforms",
        "using_config",
    )
}

CUDA = {
    "is_available": "read passus.cuda.gpu_enable",
    **dict.fromkeys(("device", "set_device"), 'models, loaders and Variables have to_device("gpu:1")'),
    **dict.fromkeys(("to_cpu", "asnumpy"), "write passus.cuda.as_numpy(x)"),
    "to_gpu": "write passus.cuda.as_cupy(x)",
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
    "MaxUnpool2d": "write L.MaxUnpooling(2)",
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
    "clip_grad_value_": "write optimizer.add_hook(ClipValue(max_value))",
    **dict.fromkeys(("ExponentialMovingAverage", "AveragedModel"), "write EMA(model, decay)"),
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
    "ReduceLROnPlateau": "write OnPlateau, and add ReportPlateau to the callbacks of a Trainer",
}

TRAINING = {
    "ModelCheckpoint": "write Checkpoint(folder, monitor=...)",
    "CSVLogger": "write CSVLog",
    **dict.fromkeys(("TensorBoard", "TensorBoardLogger", "SummaryWriter"), "write TensorBoardLog"),
    "ReduceLROnPlateau": "write passus.schedules.OnPlateau for lr, and ReportPlateau among the callbacks",
    **dict.fromkeys(("LearningRateScheduler", "LearningRateMonitor"), "give a schedule of passus.schedules as lr"),
    "LambdaCallback": "derive from Callback",
    "tqdm": "write progress_bar",
    "fit": "write Trainer(model, optimizer, loader, loss).fit(epochs)",
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
    "RandomFlip": "write RandomHorizontalFlip() or RandomVerticalFlip()",
    "Rescale": "write ToArray(), which scales pixels to 0..1",
    "Pad": "RandomCrop has padding; for a fixed border write lambda x: np.pad(x, ...)",
    "MixUp": "write Mixup",
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
    "Functional": "derive from Model and define forward",
}

TEXT = {
    **dict.fromkeys(("AutoTokenizer", "PreTrainedTokenizerFast", "from_pretrained"), "write load_tokenizer(path)"),
    **dict.fromkeys(("GPT2Tokenizer", "GPT2TokenizerFast"), "write BPETokenizer.from_files(vocabulary, merges)"),
    **dict.fromkeys(("CharacterTokenizer", "CharLevelTokenizer"), "write CharTokenizer.from_text(text)"),
    **dict.fromkeys(("pad_sequence", "pad_sequences"), "write passus.dataloaders.pad_sequences(sequences)"),
}
