"""A headless Chromium, where there is one, and node, where there is one."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gatewise import explorer
from gatewise.explorer import Subject
from gatewise.explorer.page import document, script

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run",
]  # fmt: skip


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """The browser of this machine; the tests that need it are skipped where it or its driver is missing."""
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (the dev extra)")
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip(f"no browser here: none of {', '.join(NAMES)} is on the path")
    with driver.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield running
        running.close()


class Open:
    """A page in the browser, and all that it complained about or asked for."""

    def __init__(self, tab: Any) -> None:
        self.tab = tab
        self.complaints: list[str] = []
        self.requests: list[str] = []
        tab.on("console", lambda message: self.complaints.append(message.text))
        tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        tab.on("request", lambda request: self.requests.append(request.url))

    def numbers(self) -> dict[str, Any]:
        """What the page computed, once its picture is up to date."""
        self.settle()
        found: dict[str, Any] = self.tab.evaluate("explorer.numbers()")
        return found

    def settle(self) -> None:
        """Wait until everything that changed is drawn: two frames."""
        self.tab.evaluate("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")

    def text(self, selector: str) -> str:
        """What an element says now."""
        self.settle()
        found: str = self.tab.text_content(selector)
        return found


@pytest.fixture
def opened(browser, tmp_path: Path) -> Iterator[Callable[..., Open]]:
    """Opens a subject's page from a file, as a reader does; complaints and requests fail the test at its end."""
    contexts, pages = [], []

    def open_page(subject: Subject, width: int = 1280, scheme: str = "light") -> Open:
        file = tmp_path / f"{len(pages)}.html"
        file.write_text(explorer.page(subject), encoding="utf-8")
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = Open(context.new_page())
        pages.append(page)
        page.tab.goto(file.as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not [line for page in pages for line in page.complaints]
    assert not [url for page in pages for url in page.requests if not url.startswith("file:")]


@pytest.fixture
def node() -> Callable[..., Any]:
    """Runs JavaScript over the page's own scripts without a browser, and gives back the value of an expression."""
    path = shutil.which("node")
    if path is None:
        pytest.skip("node is not on the path")

    def run(expression: str, subjects: list[Subject] | None = None, body: str = "") -> Any:
        code = "\n".join(
            [
                script("interpreter.js", "model.js"),
                'const documents = JSON.parse(require("fs").readFileSync(0, "utf8"));',
                body,
                f"console.log(JSON.stringify({expression}));",
            ]
        )
        given = json.dumps([document(subject) for subject in subjects or []])
        done = subprocess.run(
            [path, "-e", code], input=given, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run
