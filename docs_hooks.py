"""What the site of the docs does to a page: links to files beside the docs become their names."""

import re


def on_page_markdown(markdown: str, **_: object) -> str:
    """The page, as MkDocs calls this for each."""
    return re.sub(r"\[([^\]]+)\]\(\.\./[^)]+\)", r"\1", markdown)
