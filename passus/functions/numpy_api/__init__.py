"""NumPy's functions of Variables under NumPy's names, with NumPy's arguments, composed of the functions of passus.

They are what ``np.hstack([x, y])`` calls. `table` lists them all; `passus.functions.binding` hands the table to NumPy's protocol.
"""

__all__: list[str] = []
