"""What pages of reports share: tables in HTML, and how a page of scores looks."""

import html
from collections.abc import Sequence

STYLE = """
  header { max-width: 100rem; margin: 0 auto 1.5rem; }
  table { border-collapse: collapse; margin: 1rem 0; display: block; overflow-x: auto; }
  th, td { padding: .3rem .7rem; text-align: left; border-bottom: 1px solid #1e243026; }
  td { font-variant-numeric: tabular-nums; }
  tr.published { color: #5c6678; }
  .scores { font-size: .8rem; border-collapse: separate; border-spacing: 0; }
  .scores th, .scores td { padding: .3rem .5rem; }
  .scores th { white-space: pre-line; }
  .scores td { white-space: pre; }
  .scores td:first-child { position: sticky; left: 0; background: #f4f6fa; }
  .plots { display: grid; gap: 0 2.5rem; margin-bottom: 2rem;
    grid-template-columns: repeat(auto-fill, minmax(min(100%, 24rem), 1fr)); }
  section h3 { font-size: 1rem; margin: 1rem 0 .3rem; }
  svg { display: block; width: 100%; font: 12px system-ui, sans-serif; }
"""


def html_table(head: Sequence[str], rows: Sequence[Sequence[str]], ours: int | None = None) -> str:
    """A table in HTML; with `ours` it is of scores, and rows from that one on are published."""
    cells = lambda tag, line: "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in line)
    mark = lambda i: ' class="published"' if ours is not None and i >= ours else ""
    body = "".join(f"<tr{mark(i)}>{cells('td', row)}</tr>" for i, row in enumerate(rows))
    kind = "" if ours is None else ' class="scores"'
    return f"<table{kind}><tr>{cells('th', head)}</tr>{body}</table>"


def escape(text: str) -> str:
    """The text as it may stand in HTML."""
    return html.escape(str(text))
