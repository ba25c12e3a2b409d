import numpy as np

from tests.table import Row, bad, case, normal

INF = np.inf


def attention(q, k, v, mask=None, is_causal=False, scale=None, dropout=0.0):
    """Attention by a loop over queries."""
    keys, features = k.shape[-2:]
    group = q.shape[-3] // k.shape[-3] if min(q.ndim, k.ndim) > 2 and 1 < k.shape[-3] < q.shape[-3] else 1
    k, v = [np.repeat(x, group, axis=-3) if group > 1 else x for x in (k, v)]
    lead = np.broadcast_shapes(q.shape[:-2], k.shape[:-2])
    q, k, v = [np.broadcast_to(x, lead + x.shape[-2:]) for x in (q, k, v)]
    allowed = np.ones((*lead, q.shape[-2], keys), bool)
    bias = np.zeros(allowed.shape)
    if mask is not None:
        allowed, bias = (allowed & mask, bias) if mask.dtype == bool else (allowed, bias + mask)
    if is_causal:
        allowed = np.tril(allowed, keys - q.shape[-2])
    y = np.zeros((*lead, q.shape[-2], v.shape[-1]))
    for i in np.ndindex(y.shape[:-1]):
        scores = (k[i[:-1]] * q[i]).sum(-1) * (max(features, 1) ** -0.5 if scale is None else scale) + bias[i]
        used = allowed[i] & (scores > -INF)
        if used.any() and dropout < 1:
            e = np.exp(scores[used] - scores[used].max())
            y[i] = (e / e.sum()) @ v[i[:-1]][used]
    return y


def qkv(queries, keys, *lead, features=3, values=2, shared=None):
    """Queries, keys and values; ``shared`` are the leading axes of keys and values, if they differ."""
    of_keys = lead if shared is None else shared
    return normal(*lead, queries, features), normal(*of_keys, keys, features), normal(*of_keys, keys, values)


VISIBLE = np.array([[True, False, True, True], [False, False, False, False], [True, True, True, False]])
BIAS = np.where(VISIBLE, normal(3, 4), -INF)
SINGLE = "a single weight is 1 for every score"
ONES = np.ones((2, 3, 4))

ROWS = [
    Row(
        "scaled_dot_product_attention",
        attention,
        {
            "plain": case(*qkv(3, 4, 2)),
            "plain, no leading axes": case(*qkv(3, 4)),
            "plain, heads": case(*qkv(2, 3, 2, 2), scale=0.3),
            "plain, one query": case(*qkv(1, 4, 2)),
            "plain, one of each": case(*qkv(1, 1, features=1, values=1)),
            "plain, causal": case(*qkv(3, 3, 2), is_causal=True),
            "plain, causal with a cache": case(*qkv(2, 4, 2), is_causal=True),
            "plain, causal with too few keys": case(*qkv(4, 2, 2), is_causal=True),
            "plain, boolean mask": case(*qkv(3, 4, 2), mask=VISIBLE),
            "plain, added mask": case(*qkv(3, 4, 2), normal(3, 4)),
            "plain, added mask, causal": case(*qkv(3, 4), normal(3, 4), is_causal=True),
            "plain, added mask with infinities": case(*qkv(3, 4, 2), mask=BIAS),
            "plain, grouped queries": case(*qkv(3, 4, 4, shared=(2,))),
            "plain, grouped queries, mask": case(*qkv(2, 3, 2, 4, shared=(2, 2)), normal(4, 2, 3)),
            "plain, grouped queries, causal": case(*qkv(2, 3, 6, shared=(3,)), is_causal=True),
            "plain, never dropped": case(*qkv(3, 4), dropout=0.0),
            "plain, always dropped": case(*qkv(3, 4), dropout=1.0),
            "broadcast, one head of keys": case(*qkv(3, 4, 4, shared=(1,))),
            "broadcast, keys without batch": case(*qkv(3, 4, 2, shared=())),
            "broadcast, queries without batch": case(*qkv(3, 4, shared=(2,))),
            "broadcast, mask of keys": case(*qkv(3, 4, 2), normal(4)),
            "broadcast, mask of heads": case(*qkv(2, 3, 2, 2), normal(2, 1, 1)),
            "broadcast, boolean mask of keys": case(*qkv(3, 4, 2), mask=VISIBLE[0]),
            "empty": case(*qkv(3, 4, 0)),
            "empty, no queries": case(*qkv(0, 4, 2)),
            "empty, no keys": case(*qkv(3, 0, 2)),
            "empty, no features": case(*qkv(3, 4, features=0)),
            "empty, no values": case(*qkv(3, 4, values=0)),
        },
        (
            bad(
                ValueError,
                r"q \(2, 3, 4\), k \(2, 3, 5\).*same number of features",
                ONES,
                ONES[..., :1].repeat(5, 2),
                ONES,
            ),
            bad(ValueError, r"k and v must be alike", ONES, ONES, ONES[:, :2]),
            bad(ValueError, r"k and v must be alike", ONES, ONES, ONES[:1]),
            bad(ValueError, r"q \(4,\).*x\[None\]", ONES[0, 0], ONES, ONES),
            bad(ValueError, r"multiple of those of k and v", np.ones((3, 3, 4)), ONES, ONES),
            bad(ValueError, r"multiple of those of k and v", np.ones((5, 2, 3, 4)), *[np.ones((4, 2, 3, 4))] * 2),
            bad(ValueError, r"mask \(3, 4\) .* scores, \(2, 3, 3\)", ONES, ONES, ONES, np.ones((3, 4))),
            bad(ValueError, r"mask \(5, 2, 3, 3\) .* scores", ONES, ONES, ONES, np.ones((5, 2, 3, 3))),
            bad(TypeError, r"a mask of int64 is ambiguous", ONES, ONES, ONES, np.ones((3, 3), np.int64)),
            bad(ValueError, "dropout is 1.5; it must lie between 0 and 1", ONES, ONES, ONES, dropout=1.5),
            bad(ValueError, "scale is inf", ONES, ONES, ONES, scale=INF),
            bad(TypeError, "scale is a str", ONES, ONES, ONES, scale="small"),
            bad(TypeError, "is_causal", ONES, ONES, ONES, is_causal=ONES),
            bad(TypeError, "list is not supported", [[1.0]], ONES, ONES),
        ),
        {"0-d": "it has rows", "negative axis": "the axes are the last ones"},
        integer_arguments=(0, 1, 2),  # An integer mask raises.
        non_finite_exempt={
            "plain, one of each": SINGLE,
            "plain, causal": SINGLE,
            "plain, causal with too few keys": SINGLE,
            "broadcast, mask of heads": "a number that is added to all scores of a row cancels out",
            "plain, always dropped": "the gradient of scores is that of the softmax before dropout",
        },
        rtol=1e-10,
    ),
]
