"""The page of a sweep: one file, in which all is found and into which nothing slips."""

import base64
import re
from html.parser import HTMLParser

import pytest
from made_up import result, sweep, with_result

from bnsweep.report.findings import Findings
from bnsweep.report.output import ReportOptions, write_report
from bnsweep.report.sections import sweep_figures
from bnsweep.report.summary import Section, Summary
from bnsweep.report.webpage import Picture, html_page

MODELS = ["batchnorm", "plain"]


class Outline(HTMLParser):
    """The headings, images and tables of a page, in order, and what it loads from elsewhere."""

    def __init__(self, page):
        super().__init__()
        self.parts, self.addresses, self._heading = [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.addresses += [value for name, value in attrs if name in ("src", "srcset", "data")]
        self.addresses += [dict(attrs).get("href", "")] if tag == "link" else []
        if tag in ("img", "table", "script"):
            self.parts.append(tag)
        self._heading = tag in ("h1", "h2")

    def handle_endtag(self, tag):
        self._heading = False

    def handle_data(self, data):
        if self._heading:
            self.parts.append(data)


def page_of(folder, *, runs=None, figures=("curves", "final_accuracy"), formats=("png",)):
    folder.mkdir(exist_ok=True)
    findings = Findings(runs or sweep(weight_std=[1, 0.1, 0.01], model=MODELS, seed=[0, 1]))
    write_report(findings, folder, ReportOptions(sweep_figures(figures), formats))
    return (folder / "report.html").read_text()


def images(page):
    """Return the media type and the bytes of each image."""
    found = re.findall(r'src="data:([^;]+);base64,([^"]+)"', page)
    return [(media_type, base64.b64decode(data)) for media_type, data in found]


def test_each_figure_stands_in_its_section_and_in_the_file(tmp_path):
    page = page_of(tmp_path / "the_sweep")
    title = "Sweep of weight scale W (1, 0.1, 0.01) x model (batchnorm, plain) x 2 seeds"
    outline = Outline(page)
    assert outline.parts == [
        title,
        *("Training accuracy over the epochs", "img"),
        *("Final accuracy", "img", "table"),
    ]
    assert f"<title>{title} - the_sweep</title>" in page
    assert all(address.startswith("data:") for address in outline.addresses)
    files = [
        tmp_path / "the_sweep/figures" / f"{name}.png" for name in ("curves", "final_accuracy")
    ]
    assert images(page) == [("image/png", file.read_bytes()) for file in files]


def test_the_page_says_what_the_summary_says(tmp_path):
    page = page_of(tmp_path)
    answer = (tmp_path / "summary.md").read_text().split("\n\n")[1]
    assert f"<p>{answer}</p>" in page
    assert "<strong>2 seeds: no verdict.</strong>" in page


@pytest.mark.parametrize(
    ("formats", "media_type", "start"),
    [
        (["pdf"], "image/png", b"\x89PNG"),
        (["pdf", "svg"], "image/svg+xml", b"<?xml"),
        (["svg", "png"], "image/png", b"\x89PNG"),
    ],
)
def test_the_page_shows_the_figures_whatever_their_formats(tmp_path, formats, media_type, start):
    ((kind, data),) = images(page_of(tmp_path, figures=["curves"], formats=formats))
    assert kind == media_type
    assert data.startswith(start)
    written = {path.suffix[1:] for path in (tmp_path / "figures").iterdir()}
    assert written == set(formats)


def test_a_caption_that_is_not_in_the_picture_stands_below_it():
    untitled = Picture(b"", "image/png", 300, "Accuracy of <b>", titled=False)
    summary = Summary("T", [], [Section("Curves", [], "curves")])
    page = html_page(summary, {"curves": untitled}, name="n")
    assert "<figcaption>Accuracy of &lt;b&gt;</figcaption>" in page
    titled = {"curves": untitled._replace(titled=True)}
    assert "<figcaption>" not in html_page(summary, titled, name="n")


def test_names_and_messages_cannot_be_more_than_text(tmp_path):
    evil = "<script>alert(1)</script> ![x](http://elsewhere/x.png)"
    runs = sweep(weight_std=[1, 0.1, 0.01], optimizer=["sgd", "a|<script>"])
    runs[0] = with_result(runs[0], result((), status="failed", error=f"ValueError: {evil}"))
    outline = Outline(page := page_of(tmp_path / "<script>", runs=runs))
    assert "script" not in outline.parts
    assert all(address.startswith("data:") for address in outline.addresses)
    assert "&lt;script&gt;alert(1)" in page
    assert "a|&lt;script&gt; train</th>" in page


def test_a_figure_that_fails_leaves_a_page_with_the_others(tmp_path, monkeypatch):
    (tmp_path / "broken.py").write_text("def fails(runs): raise RuntimeError('cursed')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match="cursed"):
        page_of(tmp_path, figures=["final_accuracy", "broken.fails"])
    assert len(images((tmp_path / "report.html").read_text())) == 1


def test_a_sweep_of_failed_runs_has_a_page(tmp_path):
    broken = result((), status="failed", error="MemoryError: too large")
    runs = [with_result(run, broken) for run in sweep(weight_std=[1, 0.1])]
    page = page_of(tmp_path, runs=runs)
    assert "MemoryError: too large" in page
    assert images(page) == []
