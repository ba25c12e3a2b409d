"""Names that DeZero keeps in modules that passus does not need: `utils`, `functions_conv` and `core_simple`.

They are imported as in DeZero, from `passus.utils`, `passus.functions_conv` and `passus.core_simple`. Everything else
has its DeZero name where DeZero has it: functions in `passus.functions`, layers in `passus.layers`, devices in
`passus.cuda`. Programs import those from passus; an import from here raises `MissingImportError` with the place.
"""

from passus import answers as _answers
from passus import foreign as _foreign

__all__: list[str] = []

_answers.answers_for(__name__, _foreign.DEZERO)
