"""The report in a browser: accessible, readable on a phone, in print, and without a single request to anybody."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.browser.chromium import DESKTOP, PHONE, Browser
from tests.browser.pages import VERDICTS, report
from tests.unit.test_comparing import gauntlet, run


@pytest.mark.parametrize("name", VERDICTS)
def test_axe_has_nothing_serious_to_say(name: str, browser: Browser, tmp_path: Path) -> None:
    page = report(tmp_path, name)
    for size, scheme in ((DESKTOP, "light"), (PHONE, "dark")):
        browser.show(page, size, scheme)  # type: ignore[arg-type]
        browser.driver.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; })")
        assert browser.findings() == []


def test_axe_finds_what_is_wrong(browser: Browser, tmp_path: Path) -> None:
    """That it finds nothing elsewhere says something only if it finds this."""
    page = tmp_path / "bad.html"
    page.write_text('<html><body><p style="color:#ddd;background:#fff">pale</p><button></button></body></html>', encoding="utf-8")
    browser.show(page)
    found = " ".join(browser.findings())
    assert "color-contrast" in found
    assert "button-name" in found


def test_the_first_screen_answers_all_five_questions(browser: Browser, tmp_path: Path) -> None:
    for size in (DESKTOP, PHONE):
        browser.show(report(tmp_path, "fail"), size)
        bottoms = browser.ask("[...document.querySelectorAll('.answers dd')].map(e => e.getBoundingClientRect().bottom)")
        assert len(bottoms) >= 5
        assert max(bottoms) <= size[1]


def test_the_page_does_not_scroll_sideways_on_a_phone(browser: Browser, tmp_path: Path) -> None:
    browser.show(report(tmp_path, "fail"), PHONE)
    assert browser.ask("document.documentElement.scrollWidth") == PHONE[0]
    browser.driver.execute_script("window.scrollTo(200, 0)")
    assert browser.ask("window.scrollX") == 0


def test_what_scrolls_can_be_reached_by_keyboard(browser: Browser, tmp_path: Path) -> None:
    browser.show(report(tmp_path, "fail"), PHONE)
    stuck = "[...document.querySelectorAll('*')].filter(e => e.scrollWidth > e.clientWidth + 1 && "
    stuck += "getComputedStyle(e).overflowX === 'auto' && e.tabIndex < 0).map(e => e.outerHTML.slice(0, 80))"
    assert browser.ask(stuck) == []


def test_nobody_is_asked_for_anything(browser: Browser, tmp_path: Path) -> None:
    browser.requested()
    browser.show(report(tmp_path, "fail"))
    urls = browser.requested()
    assert any(url.startswith("file:") for url in urls)
    assert [url for url in urls if url.startswith(("http", "ws", "ftp"))] == []


def test_it_prints(browser: Browser, tmp_path: Path) -> None:
    browser.show(report(tmp_path, "fail"), scheme="dark")
    pdf = browser.print_to(tmp_path / "report.pdf")
    assert pdf.startswith(b"%PDF")
    assert 1 <= pdf.count(b"/Type /Page\n") <= 4
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert browser.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    ink = browser.ask("getComputedStyle(document.body).color")
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert ink == "rgb(28, 35, 48)", "dark on white, whatever the screen is"


def test_a_comparison_is_as_accessible(browser: Browser, tmp_path: Path) -> None:
    base, slow, page = run(tmp_path, "a", 1, 1), run(tmp_path, "c", 3, 3, slower=2.0, sha="c"), tmp_path / "page.html"
    assert gauntlet("compare", base, slow, "--html", page).exit_code == 1
    for size, scheme in ((DESKTOP, "light"), (PHONE, "dark")):
        browser.show(page, size, scheme)  # type: ignore[arg-type]
        assert browser.findings() == []
        assert browser.ask("document.documentElement.scrollWidth") == size[0]
