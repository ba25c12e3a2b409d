"""The site of the documents: ``python -m docs.site`` writes it to ``build/site/html``.

`pages` turns the Markdown of the repository into pages and checks each link, `reference` and `gallery` generate pages
from docstrings and from the catalogue of mistakes, `navigation` orders them, and `settings` is the configuration of
Zensical, which renders them. The format of the configuration is that of MkDocs. `browser` opens the result in Chromium.
"""
