"""Reports of hostile corpora opened in a real browser:

nothing runs, nothing is fetched, nothing but text is made of text.
"""

import html.parser
import json
import pathlib
import shutil
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from .corpora import REPOSITORY, score_corpus, write_records

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")

# Each would run or fetch something if it were taken for markup; HIT stands for the address of a
# listener.
HOSTILE = (
    "<script>document.title='ran';fetch('HIT/script')</script>",
    "<img src=HIT/img onerror=\"document.title='ran'\">",
    "\"><svg onload=\"document.title='ran'\"><script>document.title='ran'</script></svg>",
    "'><iframe src=\"data:text/html,<script>parent.document.title='ran'</script>\"></iframe>",
    (
        "<link rel=stylesheet href=HIT/css><style>@import"
        " url(HIT/import);body{background:url(HIT/background)}</style>"
    ),
    "</title></style></summary></details></td></table><script>document.title='ran'</script>",
    "<meta http-equiv=refresh content='0;url=HIT/refresh'><base href=HIT/base/>",
    (
        "<a href=\"javascript:document.title='ran'\" onfocus=\"document.title='ran'\" autofocus"
        " tabindex=1>x</a>"
    ),
    "<object data=HIT/object></object><embed src=HIT/embed><video src=HIT/video autoplay></video>",
    "<form action=HIT/form><input onfocus=\"document.title='ran'\" autofocus></form>",
    (
        "<!-- --><script>document.title='ran'</script>"
        "<![CDATA[<script>document.title='ran'</script>]]>"
    ),
    (
        "&lt;script&gt;document.title='ran'&lt;/script&gt; &#60;img src=HIT/entity&#62;"
        " \x00\x1b[31m \u202e"
    ),
)
TAGS = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "h1",
        "h2",
        "h3",
        "h4",
        "p",
        "div",
        "span",
        "section",
        "ul",
        "ol",
    ),
    *(
        "li",
        "dl",
        "dt",
        "dd",
        "b",
        "i",
        "em",
        "strong",
        "code",
        "pre",
        "blockquote",
        "br",
        "hr",
        "details",
        "summary",
    ),
    *(
        "table",
        "tbody",
        "thead",
        "tr",
        "th",
        "td",
        "svg",
        "text",
        "line",
        "circle",
        "rect",
        "path",
        "polyline",
        "g",
        "bdi",
        "wbr",
        "figure",
        "figcaption",
    ),
}


class _Site(ThreadingHTTPServer):
    """Serves one page and remembers every path that is asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.page, self.asked = b"", []
        self.address = f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.server.page if self.path == "/report.html" else b"")

    def log_message(self, *_) -> None:
        pass


@pytest.fixture
def site():
    with _Site() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def visit(site, tmp_path):
    """`visit(page)`:

    the page as the browser has it after three seconds of its time, and the other paths it asked
    for.
    """

    def open_page(page: str) -> tuple["_Seen", list[str]]:
        site.page = page.encode()
        site.asked.clear()
        command = [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *(
                f"--user-data-dir={tmp_path / 'browser'}",
                "--no-first-run",
                "--disable-background-networking",
            ),
            *("--virtual-time-budget=3000", "--dump-dom", f"{site.address}/report.html"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert "/report.html" in site.asked, done.stderr
        return _Seen(done.stdout), [
            path for path in site.asked if path not in ("/report.html", "/favicon.ico")
        ]

    return open_page


class _Seen(html.parser.HTMLParser):
    """Tags, attributes and title of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags, self.attributes, self.title, self._in_title = set(), [], "", False
        self.feed(page)

    def handle_starttag(self, tag, attributes) -> None:
        self.tags.add(tag)
        self.attributes += attributes
        self._in_title = tag == "title"

    def handle_data(self, data) -> None:
        if self._in_title:
            self.title += data

    def handle_endtag(self, tag) -> None:
        self._in_title = False


def _assert_inert(page: str, visit) -> None:
    seen, asked = visit(page)
    assert asked == []
    assert seen.title == _Seen(page).title != "ran"
    assert seen.tags <= TAGS
    for name, value in seen.attributes:
        assert not name.startswith("on"), (name, value)
        assert name not in ("src", "srcset", "action", "data", "style", "http-equiv"), (name, value)
        assert name != "href" or value.startswith("#"), (name, value)


def _texts(site) -> list[str]:
    """Twelve hostile texts on four subjects."""
    return [
        f"{text.replace('HIT', site.address)} about subject {n % 4}"
        for n, text in enumerate(HOSTILE)
    ]


def test_unescaped_the_same_texts_run_and_fetch(site, visit):
    seen, asked = visit("<title>as it was</title>" + _texts(site)[0] + _texts(site)[1])
    assert seen.title == "ran"
    assert {"/script", "/img"} <= set(asked)


def test_the_report_of_an_endpoint_that_repeats_hostile_documents(site, visit, serve, tmp_path):
    corpus = write_records(tmp_path / "c.jsonl", [{"text": text} for text in _texts(site)])
    other = write_records(
        tmp_path / "d.jsonl", [{"text": f"{text}."} for text in reversed(_texts(site))]
    )
    criteria = tmp_path / "criteria.json"
    entry = {"name": HOSTILE[0], "sentence": HOSTILE[1]}
    criteria.write_text(json.dumps({"sets": [{"metadata": [entry]}] * 2}))
    server = serve(brain="tests.diversity.agents.judge_brains:hostile")
    arguments = (
        "--agent=openai",
        f"--base_url={server.base_url}",
        "--model=<img src=x onerror=alert(1)>",
    )
    arguments += (
        f"--criteria={criteria}",
        "--draws=12",
        "--retest=2",
        "--baselines=none",
        "--nocontrol_variate",
    )
    done = score_corpus(corpus, other, f"--output={tmp_path / 'out'}", *arguments)
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "report.html").read_text()
    assert page.count("&lt;script&gt;") > 12  # documents, and what the judge said of them
    _assert_inert(page, visit)


def test_the_calibration_of_a_ladder_with_a_hostile_name(site, visit, command, tmp_path):
    texts = _texts(site)
    rungs = []
    for name, topics in (("a'><b onclick=x>.jsonl", 2), ("b<script>.jsonl", 4)):
        records = [
            {"text": text, "topic": f"{HOSTILE[0]} {n % topics}"} for n, text in enumerate(texts)
        ]
        rungs.append(write_records(tmp_path / name, records).name)
    ladders = [
        {"ladder": texts[place], "unit": HOSTILE[0], "files_in_increasing_diversity": rungs}
        for place in (0, 1)
    ]
    listed: pathlib.Path = tmp_path / "ladders.json"
    listed.write_text(json.dumps(ladders))
    flags = ("--agent=oracle", "--label_field=topic", "--draws=50", f"--output={tmp_path / 'out'}")
    done = command(
        "divsyn_jax.diversity.calibration.calibrate_agent",
        listed,
        *flags,
        cwd=REPOSITORY,
    )
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "out" / "report.html").read_text()
    assert "&lt;script&gt;" in page
    _assert_inert(page, visit)
