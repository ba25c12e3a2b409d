"""NumPy's functions for Variables, with NumPy's names and arguments, composed of functions of passus.

A call such as ``np.hstack([x, y])`` is dispatched to them. `table` lists them; `passus.functions.binding` registers it.
"""

__all__: list[str] = []
