"""A headless Chromium with an empty profile, and what the tests ask of a page in it."""

from __future__ import annotations

import base64
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pytest

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / ".browser" / "axe.min.js"
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
)  # fmt: skip
DESKTOP, PHONE = (1280, 800), (390, 844)
_AXE_RUN = """
const done = arguments[arguments.length - 1];
axe.run(document, {resultTypes: ['violations']}).then(
  found => done(found.violations.map(v => ({
    id: v.id, impact: v.impact, nodes: v.nodes.map(n => n.html.slice(0, 160) + ' | ' + n.failureSummary)}))),
  error => done([{id: 'axe', impact: 'critical', nodes: [String(error)]}]));
"""


class Browser:
    """One window, of a size and a colour scheme. `driver` is Selenium's."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    def show(self, page: Path | str, size: tuple[int, int] = DESKTOP, scheme: Literal["light", "dark"] = "light") -> None:
        """Open a file, or a URL, at that size."""
        width, height = size
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        self.driver.get(page.resolve().as_uri() if isinstance(page, Path) else page)

    def ask(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        return self.driver.execute_script(f"return {script}")

    def shoot(self, file: Path, *, whole: bool = False) -> None:
        """A screenshot of what is on the screen, or of the whole page."""
        taken = self.driver.execute_cdp_cmd(
            "Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole, **self._clip(whole)}
        )
        file.write_bytes(base64.b64decode(taken["data"]))

    def _clip(self, whole: bool) -> Mapping[str, Any]:
        if not whole:
            return {}
        size = self.driver.execute_cdp_cmd("Page.getLayoutMetrics", {})["cssContentSize"]
        return {"clip": {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": 1}}

    def print_to(self, file: Path) -> bytes:
        """The page as PDF, A4."""
        printed = self.driver.execute_cdp_cmd("Page.printToPDF", {"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": True})
        pdf = base64.b64decode(printed["data"])
        file.write_bytes(pdf)
        return pdf

    def requested(self) -> list[str]:
        """URLs that the browser asked for since the last call."""
        messages = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
        return [m["params"]["request"]["url"] for m in messages if m["method"] == "Network.requestWillBeSent"]

    def findings(self) -> list[str]:
        """What axe-core finds, of serious or critical impact."""
        if not AXE.is_file():
            pytest.skip("no axe-core here: pipelines/browser fetches it")
        self.driver.execute_script(AXE.read_text(encoding="utf-8"))
        found = self.driver.execute_async_script(_AXE_RUN)
        return [f"{v['impact']} {v['id']}: {node}" for v in found if v["impact"] in ("serious", "critical") for node in v["nodes"]]


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser of its own, ended with the block. Skips the test where there is none."""
    program, server = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or server is None:
        pytest.skip("no chromium with chromedriver here: pipelines/browser installs them")
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    with tempfile.TemporaryDirectory(prefix="browser-", ignore_cleanup_errors=True) as profile:
        options = webdriver.ChromeOptions()
        options.binary_location = program
        options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
        for flag in (*FLAGS, f"--user-data-dir={profile}"):
            options.add_argument(flag)
        driver = webdriver.Chrome(options=options, service=Service(server))
        try:
            driver.set_script_timeout(60)
            yield Browser(driver)
        finally:
            driver.quit()
