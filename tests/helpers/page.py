"""A page as a browser would see it."""

from html.parser import HTMLParser


class Reader(HTMLParser):
    """Collects elements, captions, scripts and all text by its element."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.captions, self.scripts, self.texts, self.inside = [], [], [], [], None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.inside = tag
        self.texts.append((tag, ""))
        if tag == "figcaption":
            self.captions.append("")
        if tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.inside = None

    def handle_data(self, data):
        if self.texts and self.inside == self.texts[-1][0]:
            self.texts[-1] = (self.inside, self.texts[-1][1] + data)
        if self.inside == "figcaption":
            self.captions[-1] += data
        if self.inside == "script":
            self.scripts[-1] += data
