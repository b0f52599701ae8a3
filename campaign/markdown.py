"""Markdown of editors as sanitised HTML."""

import re

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

TAGS = set("h2 h3 p a strong em ul ol li blockquote br hr table thead tbody tr th td".split())

_markdown = MarkdownIt("commonmark", {"html": False, "typographer": False}).enable("table")


def to_html(markdown: str, under: int = 1) -> SafeString:
    """HTML of TAGS and links alone. Images are left out: one from another host would tell that host who reads.

    Texts begin with headings of level 2; `under` is the level of the heading that they stand below.
    """
    html = nh3.clean(
        _markdown.render(markdown),
        tags=TAGS,
        attributes={"a": {"href"}},
        url_schemes={"https", "http", "mailto"},
        link_rel="noreferrer noopener",
    )
    if under > 1:
        html = re.sub(r"<(/?)h([23])>", lambda found: f"<{found[1]}h{int(found[2]) + under - 1}>", html)
    return mark_safe(html)  # noqa: S308  (nh3 lets only TAGS and links through)
