"""The page on a run as a browser shows it: quiet, within its width, legible, and inert."""

from pathlib import Path

import pytest

from agent.journal import read_entries
from agent.models.server import ScriptedServer
from tests.e2e.harness import LOCAL, RED, greenward, journals, mending, variables
from tests.gitrepo import repository
from tests.pages import MARKUP, changes_by, entries_of, hostile_changes, hostile_entries, long_entries, page_of

pytestmark = pytest.mark.browser

GOLDEN = Path(__file__).parents[1] / "journals" / "v1.jsonl"
WIDTHS = (375, 768, 1280)
UNFOLD = "for (const each of document.querySelectorAll('details')) each.open = true"
WIDER = """
(() => {
  const wider = [];
  for (const each of document.querySelectorAll('body *')) {
    if (each.closest('.scroll, nav, .skip, svg')) continue;
    if (each.getBoundingClientRect().right > innerWidth + 1) wider.push(each.tagName + '.' + each.className);
  }
  return wider.slice(0, 5);
})()
"""
"""Elements that stick out of the window, but for what scrolls in a box of its own."""
FAINT = """
(() => {
  const canvas = document.createElement('canvas').getContext('2d', {willReadFrequently: true});
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let each = element; each; each = each.parentElement) {
      const colour = rgba(getComputedStyle(each).backgroundColor);
      if (colour[3] === 255) return colour;
    }
    return rgba('Canvas');
  };
  const faint = new Set(), walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || element.closest('title, desc, style')) continue;
    if (!element.checkVisibility()) continue;
    const style = getComputedStyle(element), isSvg = element.namespaceURI.endsWith('svg');
    const [one, two] = [light(rgba(isSvg ? style.fill : style.color)), light(ground(element))];
    const ratio = (Math.max(one, two) + 0.05) / (Math.min(one, two) + 0.05);
    seen += 1;
    if (ratio < 4.5) faint.add(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
  }
  return [seen, [...faint]];
})()
"""
"""How many texts are visible, and those whose contrast with what is behind them is below 4.5."""
UNNAMED = """
[...document.querySelectorAll('img, svg')].filter((each) => !each.closest('[aria-hidden=true]')).filter((each) =>
  !(each.getAttribute('aria-label') || (each.getAttribute('aria-labelledby') || '').split(' ')
    .some((id) => document.getElementById(id)?.textContent.trim()))).length
"""


@pytest.fixture(scope="module")
def rich(tmp_path_factory):
    """The page of a run of the program itself, on a real repository."""
    root = repository(tmp_path_factory.mktemp("rich") / "repo", RED)
    cache = str(tmp_path_factory.mktemp("cache"))
    with ScriptedServer(mending()) as server:
        ran = greenward("fix", root, *LOCAL, environment=variables(server, XDG_CACHE_HOME=cache))
    assert ran.code == 8, ran.said
    page = tmp_path_factory.mktemp("page") / "run.html"
    shown = greenward("show", "--html", page, "--repo", root, environment=variables())
    assert shown.code == 0, shown.said
    assert len(journals(root)) == 1
    return page


@pytest.fixture(scope="module")
def pages(rich, tmp_path_factory):
    """Pages of all kinds of runs, by name."""
    golden = list(read_entries(GOLDEN))
    made = {
        "golden": page_of(golden),
        "begun": page_of(entries_of()),
        "hostile": page_of(hostile_entries(), hostile_changes()),
        "long": page_of(long_entries(700)),
    }
    directory = tmp_path_factory.mktemp("pages")
    for name, text in made.items():
        (directory / f"{name}.html").write_text(text, "utf-8")
    return {"rich": rich, **{name: directory / f"{name}.html" for name in made}}


KINDS = ("rich", "golden", "begun", "hostile", "long")


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_asks_for_nothing_says_nothing_and_holds_no_script(browser, pages, kind):
    browser.open(pages[kind])

    assert browser.evaluate("document.querySelectorAll('h1').length") == 1
    assert browser.evaluate("document.querySelectorAll('script, iframe, object, embed, base, form, link').length") == 0
    assert [event["request"]["url"] for event in browser.reported("Network.requestWillBeSent")] == [
        pages[kind].as_uri()
    ]
    assert browser.reported("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded") == []


def test_the_browser_would_tell_of_a_request_an_error_and_a_script(browser, tmp_path):
    loud = tmp_path / "loud.html"
    loud.write_text("<!doctype html><title>x</title><img src='x.png'><script>window.pwned = 1; oops()</script>")
    browser.open(loud)

    assert len(browser.reported("Network.requestWillBeSent")) == 2
    assert browser.reported("Runtime.exceptionThrown")
    assert browser.evaluate("window.pwned") == 1


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_fits_its_window_also_unfolded(browser, pages, kind, width):
    browser.open(pages[kind], width=width)
    for _ in range(2):
        assert browser.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert browser.evaluate(WIDER) == []
        browser.evaluate(UNFOLD)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", ["rich", "golden", "hostile"])
def test_every_text_has_contrast_in_both_schemes(browser, pages, kind, scheme):
    browser.open(pages[kind], scheme=scheme)
    browser.evaluate(UNFOLD)
    seen, faint = browser.evaluate(FAINT)

    assert faint == []
    assert seen > 100
    assert browser.evaluate(f"matchMedia('(prefers-color-scheme: {scheme})').matches")


def test_the_schemes_differ_and_faint_text_would_be_found(browser, pages):
    grounds = set()
    for scheme in ("light", "dark"):
        browser.open(pages["golden"], scheme=scheme)
        grounds.add(browser.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
    assert len(grounds) == 2
    browser.evaluate("document.querySelector('h1').style.color = 'rgb(60, 70, 65)'")
    assert [each for each in browser.evaluate(FAINT)[1] if each.startswith("H1")]


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_named_and_so_is_every_picture(browser, pages, kind):
    browser.open(pages[kind])

    assert browser.evaluate("document.documentElement.lang") == "en"
    assert browser.evaluate("document.title").startswith(
        ("unproven: fix", "green: fix", "passed, without a proof: fix", "unfinished: fix", "not green: fix")
    )
    assert browser.evaluate(UNNAMED) == 0
    assert browser.evaluate(
        "['header', 'nav', 'main', 'footer'].every((tag) => document.querySelectorAll(tag).length === 1)"
    )
    assert browser.evaluate("[...document.querySelectorAll('th')].every((each) => each.scope)")


def test_nothing_that_a_run_held_acts(browser, pages):
    browser.open(pages["hostile"], width=375)
    browser.evaluate(UNFOLD)
    browser.evaluate("for (const each of document.querySelectorAll('a')) each.click()")
    browser.evaluate("for (const each of document.querySelectorAll('*')) each.dispatchEvent(new Event('click'))")

    assert browser.evaluate("window.pwned") is None
    assert (
        browser.evaluate("document.querySelectorAll('b, img, script, iframe, base, [onclick], [onload]').length") == 0
    )
    assert browser.evaluate(
        "[...document.querySelectorAll('a')].every((each) => each.hash && each.protocol === 'file:')"
    )
    assert browser.evaluate("document.styleSheets.length") == 1
    text = browser.evaluate("document.body.textContent")
    assert "<script>window.pwned=1</script>" in text
    assert "{{ 7 * 7 }}" in text
    assert "\\u{202e}gnp.exe" in text
    assert not set(MARKUP) & set("\x1b\x00\u202e\u2066") & set(text)


def test_the_policy_stops_a_script_that_is_put_into_the_page(browser, pages, tmp_path):
    injected = tmp_path / "injected.html"
    page = pages["golden"].read_text("utf-8")
    injected.write_text(
        page.replace("<main>", "<main><script>window.pwned = 1</script><img src=x onerror='pwned = 1'>")
    )
    browser.open(injected)

    assert browser.evaluate("window.pwned") is None
    assert browser.reported("Log.entryAdded")


def test_printing_leaves_out_what_is_for_screens(browser, pages):
    browser.open(pages["rich"])
    browser("Emulation.setEmulatedMedia", media="print")
    shown = browser.evaluate("getComputedStyle(document.querySelector('nav')).display")
    browser("Emulation.setEmulatedMedia", media="")
    assert shown == "none"


def test_a_turn_of_the_timeline_leads_to_what_was_said_in_it(browser, pages):
    browser.open(pages["rich"])
    browser.evaluate("document.querySelector('.timeline a').click()")
    assert browser.evaluate("document.querySelector(':target').id") == "turn-1"


def test_the_patch_of_a_file_that_was_put_into_a_run_is_inert(browser, tmp_path):
    line = MARKUP.replace("\n", " ")
    text = f"diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-{line}\n+{line}\n"
    entries = list(read_entries(GOLDEN))
    page = tmp_path / "page.html"
    page.write_text(page_of(entries, changes_by(lambda _before, _after: text, entries)), "utf-8")
    browser.open(page)

    assert browser.evaluate("window.pwned") is None
    assert browser.evaluate("document.querySelectorAll('.diff script, .diff img, .diff a').length") == 0
    assert browser.evaluate("document.querySelector('.diff .added').textContent").startswith("+</style>")
