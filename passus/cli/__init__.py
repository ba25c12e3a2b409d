"""The command line: ``python -m passus summary | inspect | bench | doctor``.

Reports go to stdout as text, or as JSON with ``--json``; errors are one line on stderr. The exit status is 0, 1 if `doctor`
finds a fault, 2 for wrong arguments and unreadable files, and 130 after Ctrl-C.
"""

from passus import exports as _exports
from passus.cli.commands import main as main

_exports.export_names(__name__)
