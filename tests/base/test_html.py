"""The kit of reports: text stays text, numbers keep their order, tables repeat their head."""

import itertools
import json
import pathlib
import re
import shutil
import subprocess

import pytest

from divsyn_jax.base import html
from divsyn_jax.base.html import (
    Html,
    as_html,
    interval,
    markup,
    number,
    p_equals,
    p_value,
    page,
    table,
)

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")


def test_text_is_escaped_everywhere_and_markup_nowhere():
    hostile = "<i>a</i>\"'&"
    escaped = "<bdi>&lt;i&gt;a&lt;/i&gt;&quot;&#x27;&amp;</bdi>"
    assert as_html(hostile) == escaped
    assert table([hostile], [[hostile]]).count(escaped) == 2
    assert markup("<p>{}</p>", hostile) == f"<p>{escaped}</p>"
    assert escaped in html.details(hostile, hostile)
    assert escaped in page("t", [hostile])
    assert "<title>&lt;i&gt;" in page(hostile, [])
    assert as_html(Html("<i>a</i>")) == "<i>a</i>"


def test_what_is_made_of_markup_by_hand_is_text_again():
    """A forgotten `markup` shows tags; it lets nothing in."""
    assert as_html(Html("<b>") + "<i>") == "<bdi>&lt;b&gt;&lt;i&gt;</bdi>"
    assert as_html(f"{Html('<b>')}") == "<bdi>&lt;b&gt;</bdi>"


@pytest.mark.parametrize(
    "control", ["\u202e", "\u202d", "\u2066", "\u2069", "\x1b", "\x00", "\x9b"]
)
def test_controls_are_shown_and_not_obeyed(control):
    shown = as_html(f"a{control}b")
    assert control not in shown
    assert shown == f"<bdi>a[U+{ord(control):04X}]b</bdi>"


def test_a_p_value_is_never_nothing():
    for value, shown in ((0.0, "< 1e-6"), (3e-28, "< 1e-6"), (2e-6, "2.0e-06")):
        assert p_value(value) == shown
    assert [p_equals(value) for value in (0.0, 0.0497, None)] == [
        "p < 1e-6",
        "p = 0.0497",
        "p unknown",
    ]
    assert [p_value(value) for value in (0.049, 0.0004, 1.0, None)] == [
        "0.049",
        "4.0e-04",
        "1.000",
        "-",
    ]


def test_numbers_and_intervals_are_formatted_in_one_place():
    assert as_html(1234567) == "1,234,567"
    assert as_html(0.123456) == "0.1235"
    assert as_html(None) == "-"
    measured = {"value": 2.0, "ci_low": 1.0, "ci_high": 3.5}
    text = re.sub("<[^>]*>", "", interval(measured, 1))
    assert text == "2.0 [1.0, 3.5]"
    assert "&lt;why&gt;" in interval({"value": None, "reason": "<why>"})


def test_every_table_has_a_head_and_prints_rows_whole():
    assert "<thead><tr><th" in table(["a"], [["b"]])
    style = page("t", [])
    assert "table-header-group" in style
    assert "break-inside: avoid" in style
    assert "overflow-wrap: anywhere" in style


def test_what_rounds_to_nothing_has_no_sign():
    assert [number(-0.0), number(-0.001, 2), number(-1234.0)] == ["0", "0.00", "-1,234"]


def test_a_ceiling_is_drawn_wherever_the_axis_reaches_it():
    row = ("a", {"value": 101.0, "ci_low": 90.0, "ci_high": 107.0})
    assert "at most 200" in html.interval_plot([row], "clusters", 200.0)
    assert "at most" not in html.interval_plot([row], "clusters", 5000.0)


def test_numbers_of_groups_do_not_overprint():
    points = [html.ScatterPoint(x / 100, 0.0, x % 8, "", "") for x in range(16)]
    points.append(html.ScatterPoint(5.0, 5.0, None, "", ""))
    drawn = html.scatter_plot(points, list("abcdefgh"), "map")
    found = re.findall(r'<text x="([\d.]+)" y="([\d.]+)" text-anchor="middle"', drawn)
    places = [(float(x), float(y)) for x, y in found]
    assert len(places) == 8
    for one, two in itertools.combinations(places, 2):
        assert abs(one[0] - two[0]) >= 15.8 or abs(one[1] - two[1]) >= 16.8


def test_a_plot_names_its_rows_as_text():
    rows = [("<b>\u202e", {"value": 1.0, "ci_low": 0.5, "ci_high": 1.5}), ("n" * 200, {"value": 3})]
    drawn = html.interval_plot(rows, "label")
    assert "&lt;b&gt;[U+202E]" in drawn
    assert "n" * 57 not in re.sub("<title>.*?</title>", "", drawn)
    assert html.interval_plot([("a", {"value": None})], "label") == ""


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
def test_a_long_name_wraps_and_a_wide_table_scrolls_in_its_own_box(tmp_path: pathlib.Path):
    """At 390 pixels the page itself is no wider than the screen."""
    wide = table([f"column {n}" for n in range(30)], [[0.5] * 30])
    probe = (
        "<script>onload=()=>{const d=document.documentElement;document.title=JSON.stringify("
        "[d.scrollWidth,innerWidth,document.querySelector('.scroll').scrollWidth])}</script>"
    )
    content = page("t", [markup("<p>{}</p>", "n" * 500), wide, Html(probe)])
    frame = tmp_path / "page.html"
    frame.write_text(content)
    outer = tmp_path / "outer.html"
    outer.write_text(
        f'<iframe src="{frame.name}" width=390 height=800></iframe><p id=o>'
        "<script>onload=()=>setTimeout(()=>{o.textContent=frames[0].document.title},500)</script>"
    )
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path / 'browser'}", "--allow-file-access-from-files"]
    command += ["--virtual-time-budget=3000", outer.as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    page_width, window, table_width = json.loads(re.search(r"\[\d+,\d+,\d+\]", shown)[0])
    assert window == 390
    assert page_width <= window < table_width


def test_a_stacked_table_keeps_the_head_with_every_cell():
    """On a phone the head row is gone: each cell says what it is, whatever the text of its head."""
    shown = html.table(["corpus", 'a "b"'], [["x", 1.5]], stacked=True)
    assert '<div class="scroll stacked"' in shown
    assert '<td data-head="a &quot;b&quot;"><span>1.5</span></td>' in shown
    assert "data-head" not in html.table(["corpus"], [["x"]])


def test_a_long_name_in_a_head_breaks_behind_an_underscore_alone():
    assert ">many_<wbr>topics</th>" in table(["many_topics"], [])
    for whole in ("<b>_c", "plain", "a_\u202e"):
        assert "<wbr>" not in table([whole], [])


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
@pytest.mark.skipif(shutil.which("pdftotext") is None, reason="no pdftotext on this machine")
@pytest.mark.parametrize("stacked", [False, True], ids=["one line a row", "stacked"])
def test_paper_shows_every_column_and_no_broken_number_or_word(tmp_path: pathlib.Path, stacked):
    """Paper cannot scroll: what lies beyond its edge is lost."""
    heads = ["corpus", "documents", "near duplicates", "cluster score C/S", "n-gram diversity"]
    heads += [f"measure_{n}" for n in range(20 if stacked else 10)]
    measured = {"value": 0.1554, "ci_low": 0.1255, "ci_high": 0.1853}
    cells = [
        "breadth_1",
        "1,500",
        interval(measured),
        *[f"7.{n:03}" for n in range(len(heads) - 3)],
    ]
    file, printed = tmp_path / "page.html", tmp_path / "page.pdf"
    file.write_text(page("t", [table(heads, [cells], stacked=stacked)]))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    command += [f"--user-data-dir={tmp_path / 'browser'}", f"--print-to-pdf={printed}"]
    subprocess.run([*command, file.as_uri()], capture_output=True, timeout=120, check=True)
    text = ["pdftotext", "-layout", str(printed), "-"]
    words = subprocess.run(text, capture_output=True, text=True, check=True).stdout.split()
    assert {"1,500", "0.1554", "[0.1255,", "0.1853]", "documents", "duplicates"} <= set(words)
    assert set(cells[3:]) <= set(words)


@pytest.mark.parametrize("ends", [(28.0, 95.0), (21.0, 24.0), (2.0, 900.0), (1.0, 1e12)])
def test_a_log_axis_has_numbers_to_read_it_by(ends):
    drawn = html.line_chart([("a", [(0.0, ends[0]), (1.0, ends[1])])], "y", "x")
    numbers = re.findall(r'<text x="46" y="[\d.]+" text-anchor="end">', drawn)
    assert 2 <= len(numbers) <= 13
