"""The report as a page: one HTML file that holds its figures, and opens without a network."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from bnsweep.report.summary import Summary

STYLE = """
:root { color-scheme: light; }
body { margin: 0; background: #fff; color: #1a1a1a; font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 66rem; margin: 0 auto; padding: 1rem; overflow-wrap: break-word; }
main > p, main > ul { max-width: 46rem; }
h1, h2, h3 { line-height: 1.25; }
h1 { font-size: 1.4rem; }
h2 { font-size: 1.2rem; margin-top: 2.5rem; border-bottom: 1px solid #ccc; }
h3 { font-size: 1rem; margin-top: 1.5rem; }
figure { margin: 1rem 0; }
img { display: block; max-width: 100%; height: auto; }
figcaption, footer { color: #555; font-size: 0.85rem; }
.table { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.2rem 0.7rem; text-align: left; vertical-align: bottom; white-space: nowrap; }
th:first-child, td:first-child { padding-left: 0; }
th { white-space: normal; border-bottom: 1px solid #888; }
td { border-bottom: 1px solid #e5e5e5; }
@media (max-width: 40rem) {
  figure { overflow-x: auto; }
  img { max-width: none; width: 40rem; }
}
@media print {
  body { font-size: 9pt; }
  main { max-width: none; padding: 0; }
  h2, h3 { break-after: avoid; }
  figure, tr { break-inside: avoid; }
  figure, .table { overflow: visible; }
  img { max-width: 100%; }
  table { font-size: 7pt; }
  th, td { padding: 0.1rem 0.4rem; white-space: normal; }
}
"""


class Picture(NamedTuple):
    """A figure as it stands on the page.

    Attributes:
        data: the bytes of an image.
        media_type: of the image, such as `image/png`.
        width: in CSS pixels, where the page is wide enough.
        caption: what the figure shows.
        titled: whether the image itself says that.
    """

    data: bytes
    media_type: str
    width: int
    caption: str
    titled: bool


def html_page(summary: Summary, pictures: Mapping[str, Picture], *, name: str) -> str:
    """Return the page of a sweep.

    Args:
        summary: what it says.
        pictures: the figures by their names; each stands in its section.
        name: of the sweep's folder.
    """
    # Importing it takes a tenth of a second, which a sweep's start does not have to spend.
    from markdown_it import MarkdownIt

    # No HTML from a name or a message, and no image from elsewhere.
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image")

    def rendered(paragraphs: Sequence[str]) -> str:
        html = str(markdown.render("\n\n".join(paragraphs)))
        scrolling = html.replace("<table>", '<div class="table" tabindex="0">\n<table>')
        return scrolling.replace("</table>", "</table>\n</div>")

    title = escape(summary.title)
    body = [f"<h1>{title}</h1>", rendered(summary.paragraphs)]
    for section in summary.sections:
        picture = pictures.get(section.figure)
        if section.paragraphs or picture:
            body.append(f"<h2>{escape(section.title)}</h2>")
            body += [_figure(picture)] if picture else []
            body.append(rendered(section.paragraphs))
    body.append(f"<footer>{escape(name)}</footer>")
    text = "\n".join(body)
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{title} - {escape(name)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<main>\n{text}\n</main>\n</body>\n</html>\n"
    )


def _figure(picture: Picture) -> str:
    data = base64.b64encode(picture.data).decode()
    caption = escape(picture.caption)
    below = "" if picture.titled or not caption else f"\n<figcaption>{caption}</figcaption>"
    return (
        f'<figure>\n<img src="data:{picture.media_type};base64,{data}" width="{picture.width}" '
        f'alt="{caption}">{below}\n</figure>'
    )
