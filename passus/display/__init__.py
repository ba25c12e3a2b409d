"""Texts, tables and HTML in which objects show themselves, in a terminal and in a notebook."""

from passus import exports as _exports
from passus.display.charts import line_chart as line_chart
from passus.display.fields import ShowsFields as ShowsFields
from passus.display.html import html_block as html_block
from passus.display.html import html_escaped as html_escaped
from passus.display.html import html_fields as html_fields
from passus.display.html import html_table as html_table
from passus.display.notebooks import in_notebook as in_notebook
from passus.display.numbers import array_text as array_text
from passus.display.numbers import kind_of_array as kind_of_array
from passus.display.numbers import numbers as numbers
from passus.display.options import ShowsOptions as ShowsOptions
from passus.display.options import described_value as described_value
from passus.display.tables import text_table as text_table

_exports.export_names(__name__)
