"""Markdown of editors as sanitised HTML."""

import nh3
from django.utils.safestring import SafeString, mark_safe
from markdown_it import MarkdownIt

TAGS = set("h2 h3 p a strong em ul ol li blockquote br hr table thead tbody tr th td".split())

_markdown = MarkdownIt("commonmark", {"html": False, "typographer": False}).enable("table")


def to_html(markdown: str) -> SafeString:
    """HTML of TAGS and links alone. Images are left out: one from another host would tell that host who reads."""
    return mark_safe(  # noqa: S308  (nh3 lets only TAGS and links through)
        nh3.clean(
            _markdown.render(markdown),
            tags=TAGS,
            attributes={"a": {"href"}},
            url_schemes={"https", "http", "mailto"},
            link_rel="noreferrer noopener",
        )
    )
