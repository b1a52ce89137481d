"""Markdown that a pull request can show: foreign text stays text, in Markdown and in HTML."""

import base64
import hashlib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

LONGEST = 600
"""Characters of one foreign text; what is cut is in the ledger or the evidence."""

_SYNTAX = re.compile(
    r"[\\`*\[\]<>#|~&$@]"
    r"|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"  # within a word it is none
    r"|:(?=//)|(?<=\bwww)\.",  # what makes an address
    re.IGNORECASE,
)

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0}"
    "td,th{border:1px solid #999;padding:.2rem .6rem;text-align:left;overflow-wrap:anywhere}"
    "img{max-width:100%}"
)


def text(value: object) -> str:
    """Any value as words of one line that are no syntax, no link and no mention.

    Punctuation becomes character references, which Markdown never takes for structure.
    """
    plain = "".join(
        " " if unicodedata.category(letter).startswith("C") else letter for letter in str(value)
    )
    if len(plain) > LONGEST:
        plain = plain[:LONGEST] + "…"
    # A mention is looked for in the rendered text, so a reference alone would not stop it.
    plain = re.sub(r"(?<!\w)@", "@\u2060", plain)
    return _SYNTAX.sub(lambda found: f"&#{ord(found[0])};", plain)


def table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A table's lines; cells are foreign, titles are ours."""
    return [
        f"| {' | '.join(titles)} |",
        f"|{' --- |' * len(titles)}",
        *(f"| {' | '.join(map(text, row))} |" for row in rows),
    ]


def html(title: str, source: str, images: Mapping[str, bytes]) -> str:
    """The Markdown as one page that needs neither network nor scripts, and allows none.

    Each image (SVG) that the source names is put in whole; any other is left out.
    """
    from markdown_it import MarkdownIt

    def image(tokens: Sequence[Any], place: int, *_: object) -> str:
        name = tokens[place].attrs["src"]
        if name not in images:
            return ""
        data = base64.b64encode(images[name]).decode()
        alt = escape(tokens[place].content)
        return f'<img src="data:image/svg+xml;base64,{data}" alt="{alt}">'

    renderer = MarkdownIt("commonmark", {"html": False}).enable("table")
    renderer.renderer.rules["image"] = image  # ty: ignore[missing-attribute]
    body = renderer.render(source)
    digest = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
    policy = f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'"
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}</body>\n</html>\n"
    )
