"""How hard a text is to read: the grade of Flesch and Kincaid for English, words in a sentence for any language."""

import re
from html.parser import HTMLParser

BLOCKS = {"p", "li", "label", "summary", "dd", "dt", "h1", "h2", "h3", "h4", "td", "th", "button", "blockquote", "div"}
UNREAD = {"script", "style", "svg", "textarea", "header", "footer", "head"}
WORD = re.compile(r"[^\W\d_]+(?:[’'-][^\W\d_]+)*")
# A number ends no sentence, nor does the point in an address.
SENTENCE = re.compile(r".+?[.!?…](?=[\s”»)]|$)", re.DOTALL)


class Blocks(HTMLParser):
    """The text of each paragraph, list item, label and so on, in `found`."""

    def __init__(self) -> None:
        super().__init__()
        self.found = [""]
        self.unread: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in UNREAD:
            self.unread.append(tag)
        if tag in BLOCKS:
            self.found.append("")

    def handle_endtag(self, tag: str) -> None:
        if self.unread and self.unread[-1] == tag:
            self.unread.pop()
        if tag in BLOCKS:
            self.found.append("")

    def handle_data(self, data: str) -> None:
        if not self.unread:
            self.found[-1] += data


def sentences(html: str) -> list[str]:
    """Whole sentences. Labels, headings and names of buttons are none, and would make a text seem easy."""
    blocks = Blocks()
    blocks.feed(html)
    found = [" ".join(match.split()) for block in blocks.found for match in SENTENCE.findall(block)]
    return [sentence for sentence in dict.fromkeys(found) if len(WORD.findall(sentence)) > 2]


def words_in_a_sentence(html: str) -> float:
    found = sentences(html)
    return sum(len(WORD.findall(sentence)) for sentence in found) / len(found)


def syllables(word: str) -> int:
    """Groups of vowels, without a silent e at the end: right for nine English words of ten, in sum nearly exact."""
    word = re.sub(r"(?:[^laeiouy]e|[^laeiouytd]ed|[^laeiouy]es)$", "", word.lower()) or word
    return max(len(re.findall(r"[aeiouy]+", word)), 1)


def grade(html: str) -> float:
    """Years of school that it takes (Kincaid et al. 1975)."""
    words = [word for sentence in sentences(html) for word in WORD.findall(sentence)]
    return 0.39 * len(words) / len(sentences(html)) + 11.8 * sum(map(syllables, words)) / len(words) - 15.59
