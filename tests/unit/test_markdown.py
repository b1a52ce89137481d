"""Foreign text in Markdown is one run of words, whatever it holds."""

from html import unescape
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from promotion import markdown


class Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: dict[str, set[str]] = {}
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            self.attributes.setdefault(name, set()).add(value or "")

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_text_is_one_cell_of_one_row(words: str) -> None:
    lines = markdown.table(("a", "b"), [(words, "end")])
    page = Page(MarkdownIt("commonmark", {"html": True}).enable("table").render("\n".join(lines)))
    assert page.tags == ["table", "thead", "tr", "th", "th", "tbody", "tr", "td", "td"]


def test_addresses_and_mentions_lose_what_makes_them_work() -> None:
    assert "http://" not in markdown.text("see http://evil.test")
    assert "www." not in markdown.text("see WWW.evil.test, www.evil.test")
    assert "@" not in markdown.text("@everyone")
    assert "\u2060" in markdown.text("(@everyone)")
    assert len(markdown.text("x" * 10_000)) == markdown.LONGEST + 1


def test_html_in_a_source_is_text_even_if_an_escape_was_forgotten() -> None:
    assert "<script>" not in markdown.html("title", "<script>alert(1)</script>\n\na <b>b</b>", {})


@given(st.text(st.sampled_from("\\`*_[]<>#|~&$:/ ab1"), max_size=30))
def test_what_could_be_syntax_is_written_as_a_reference_to_the_same_letter(words: str) -> None:
    written = markdown.text(words)
    assert unescape(written) == words
    assert not set("\\`*[]<>|~$") & set(written)
