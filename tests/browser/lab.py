"""What a person does in JupyterLab, by what they see: buttons, menus, cards."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator, Page, Request

RUN_MILLISECONDS = 300_000
ALL_HAVE_RUN = r"""before => {
    const prompts = [...document.querySelectorAll(".jp-CodeCell .jp-InputPrompt")].map(prompt => prompt.textContent);
    return prompts.every(text => /\[\d+\]/.test(text)) && prompts.join() !== before.join();
}"""


@dataclass(frozen=True, slots=True)
class Lab:
    """One tab with JupyterLab; `elsewhere` collects the URLs of other machines that it asked for."""

    page: Page
    elsewhere: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, context: BrowserContext, url: str) -> Lab:
        """Open a new tab at `url` and wait until JupyterLab can be used."""
        lab = cls(context.new_page())
        # Not the bound methods: playwright sets attributes on their object.
        lab.page.on("request", lambda request: note_elsewhere(request, lab.elsewhere))
        lab.page.on("requestfailed", lambda request: note_dropped(request, lab.dropped))
        lab.go(url)
        return lab

    def go(self, url: str) -> None:
        """Load `url` and wait until JupyterLab can be used.

        Chromium drops requests when a network interface comes or goes, as one does with every container that other
        tests start meanwhile: then it is loaded once more.
        """
        from playwright.sync_api import Error

        for _ in range(5):
            self.dropped.clear()
            try:
                self.page.goto(url)
                self.wait_usable()
            except Error:
                if not self.dropped:
                    raise
            if not self.dropped:
                return
        raise AssertionError(f"dropped by Chromium again and again: {self.dropped}")

    def wait_usable(self) -> None:
        """Return when the file browser lists the project."""
        self.page.locator(".jp-DirListing-item").first.wait_for()
        self.page.locator("#jupyterlab-splash").wait_for(state="detached")

    def card(self, label: str) -> Locator:
        """The first card with this label of the start page that is seen."""
        return self.page.locator(".jp-LauncherCard:visible", has_text=label).first

    def menu(self, menu: str, item: str) -> None:
        """Choose `item` of a menu in the bar at the top."""
        self.page.get_by_role("menubar").get_by_role("menuitem", name=menu, exact=True).click()
        self.page.locator(".lm-Menu-itemLabel").get_by_text(item, exact=True).click()

    def run_all(self) -> None:
        """Run every cell and wait until the last one has ended."""
        self.page.locator(".jp-CodeCell").first.wait_for()
        # Asked before there is a kernel, JupyterLab opens a dialog to choose one.
        self.page.locator("#jp-main-statusbar").get_by_text(re.compile(r"PyTorch.* \| Idle$")).wait_for()
        before = self.page.locator(".jp-CodeCell .jp-InputPrompt").all_text_contents()
        self.menu("Run", "Run All Cells")
        self.page.wait_for_function(ALL_HAVE_RUN, arg=before, timeout=RUN_MILLISECONDS)

    def outputs(self, kind: str) -> Locator:
        """The notebook's outputs of one MIME type; errors and stderr have types of Jupyter's own."""
        return self.page.locator(f'.jp-Notebook .jp-OutputArea-output[data-mime-type="{kind}"]')

    def printed(self) -> str:
        """Everything the notebook's cells printed."""
        return "\n".join(self.outputs("application/vnd.jupyter.stdout").all_text_contents())


def note_elsewhere(request: Request, urls: list[str]) -> None:
    """Append the URL when it leads to another machine."""
    parts = urlsplit(request.url)
    if parts.scheme in ("http", "https", "ws", "wss") and parts.hostname != "127.0.0.1":
        urls.append(request.url)


def note_dropped(request: Request, urls: list[str]) -> None:
    """Append the URL when Chromium gave the request up by itself."""
    if "ERR_NETWORK_CHANGED" in (request.failure or ""):
        urls.append(request.url)


def origin(url: str) -> str:
    """http://127.0.0.1:PORT of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
