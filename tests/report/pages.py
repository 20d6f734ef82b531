"""What the tests of pages share."""

from html.parser import HTMLParser

ATTACK = "</script><script>alert(1)</script><img src=x onerror='alert(2)'>\"&{{7*7}}"
VOID = {"meta", "link", "img", "input", "br", "use"}


class Outline(HTMLParser):
    """Collects tags, attributes and ids, and checks that elements nest."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.links, self.stack = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append((tag, found))
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found[name] for name in ("href", "src", "xlink:href") if name in found]
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.stack.pop()

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.stack.pop() == tag
