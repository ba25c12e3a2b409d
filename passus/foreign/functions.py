"""Replacements for functions of other libraries."""

from __future__ import annotations

__all__ = ["FUNCTIONS", "UFUNCS"]

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
    "unfold": "write F.im2col",
    "fold": "write F.col2im",
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
    **{
        name: f"it is passus.utils.{name}"
        for name in (
            "get_conv_outsize",
            "get_deconv_outsize",
            "pair",
            "numerical_grad",
            "gradient_check",
            "array_equal",
            "array_allclose",
            "get_dot_graph",
            "plot_dot_graph",
            "get_file",
        )
    },
    **{name: f"it is passus.{name}" for name in ("Variable", "Parameter", "Function", "as_variable", "as_array")},
    **{
        name: f"it is passus.functions_conv.{name}"
        for name in ("Conv2d", "Deconv2d", "Conv2DGradW", "im2col_array", "col2im_array")
    },
    "reduce_sum": "write F.sum",
    "reduce_mean": "write F.mean",
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
    "ndtr": "write F.normal_cdf(x)",
    "erfc": "write 2 * F.normal_cdf(-(2**0.5) * x)",
}
"""Ufuncs of SciPy."""
