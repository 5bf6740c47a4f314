"""The desk in a real browser, by keyboard, on a real desk with a real audit log."""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import time
from dataclasses import replace

import pytest_asyncio

from lfr_edge.alerts.alert import DeskPolicy, Drill, State
from lfr_edge.alerts.factors import Answer
from lfr_edge.alerts.street import Identity, Outcome
from lfr_edge.audit.verify import verify
from lfr_edge.console.door.accounts import Role
from lfr_edge.console.ports import Trouble
from tests.browser.conftest import PHONE, a_page, signed_in
from tests.fakes.box import PASSWORD, house, raised, van_status
from tests.waiting import until


@pytest_asyncio.fixture(loop_scope="session")
async def box(tmp_path):
    async with house(tmp_path) as running:
        yield running


# When a look was answered and when each alert came up, in ms of the page's clock.
WATCH_THE_CENTRE = """() => {
  window.changes = {};
  const look = () => {
    if (!document.querySelector("#after").hidden) window.changes["decided"] ??= performance.now();
    window.changes[document.querySelector("#alert-title").textContent] ??= performance.now();
  };
  new MutationObserver(look).observe(document.body, {subtree: true, childList: true, attributes: true});
}"""


async def linked(page) -> None:
    await page.wait_for_selector('#link[data-link="on"]')


async def test_from_the_printed_code_to_a_decision_by_keyboard_alone(box, browser):
    code = box.accounts.first_code()
    watched = await a_page(browser)
    page = watched.page
    await page.goto(box.url)
    await page.wait_for_url("**/sign-in")
    await page.focus("a[href='/setup']")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/setup")
    await page.focus("#code")
    for text in (code, "miller"):
        await page.keyboard.type(text)
        await page.keyboard.press("Tab")
    await page.keyboard.press("Space")  # the first role: operator
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/desk")
    await linked(page)
    assert await page.is_visible("#empty")

    alert = await box.desk.raise_alert(raised())
    await page.wait_for_selector("#alert:not([hidden])")
    assert await page.text_content("#alert-title") == "Alert 1"
    assert await page.evaluate("document.activeElement === document.body"), "focus rests on no answer"
    await page.keyboard.press("1")
    await page.keyboard.press("Enter")
    assert "reason" in await page.text_content("#readiness")
    assert box.desk.get(alert.id.token).state is State.OFFERED
    await page.keyboard.press("q")
    await page.keyboard.press("a")
    await page.keyboard.press("z")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#after:not([hidden])")
    decided = box.desk.get(alert.id.token)
    assert decided.state is State.REFERRED
    assert len(decided.looks[0].factors) == 3
    after = await page.text_content("#after")
    for figure in ("0.6217", "0.4831", "0.3088", "W-0001", "miller"):
        assert figure in after
    await page.focus("#take")
    await page.keyboard.press("Enter")  # an officer says so by radio
    await page.wait_for_selector("#closing")
    await page.focus("#identity")
    await page.keyboard.press("d")  # a select takes the first letter
    await page.keyboard.press("Tab")
    await page.keyboard.press("o")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_selector('#after:has-text("Receipt code")')
    closed = box.desk.get(alert.id.token)
    assert (closed.outcome, closed.identity) == (Outcome.OTHER_DISPOSAL, Identity.DIFFERENT_PERSON)
    assert closed.receipt.code in await page.text_content("#after")
    await page.focus("#explain")
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".map canvas")
    assert "eyes" in await page.get_attribute(".map canvas", "aria-label")
    assert "not whether the network was right" in await page.text_content(".map")
    assert not watched.faults

    verbs = [entry.event.ev for _, entry in box.log.entries()]
    wanted = ["access.signed_in", "alert.raised", "alert.offered", "evidence.viewed", "alert.looked", "alert.decided",
              "alert.engaged", "alert.outcome", "receipt.issued"]  # fmt: skip
    assert [verb for verb in wanted if verb in verbs] == wanted
    report = verify(box.log.folder)
    assert report.intact, report.to_json()


async def test_nothing_reveals_the_score_before_the_look(box, browser):
    watched = await signed_in(browser, box, "miller", Role.OPERATOR)
    page = watched.page
    bodies: list[str] = []

    async def keep(response) -> None:
        if "json" in response.headers.get("content-type", ""):
            bodies.append(await response.text())

    page.on("response", keep)
    await linked(page)
    await box.desk.raise_alert(raised())
    await page.wait_for_selector("#alert:not([hidden])")
    await page.evaluate("fetch('/api/alerts').then((answer) => answer.text())")
    await until(lambda: any("token" in body for body in bodies), what="what was fetched is kept")
    seen = "".join(watched.wire + bodies) + await page.evaluate("document.querySelector('main').outerHTML")
    assert watched.wire
    for secret in ("0.62", "0.6217", "6217", "0.31", "W-0001", "W-0877", "margin"):
        assert secret not in seen, secret
    await page.keyboard.press("3")
    await page.keyboard.press("t")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#after:not([hidden])")
    assert "0.6217" in await page.text_content("#after"), "control: the same search finds it after the look"


async def test_both_faces_have_the_same_size_and_the_answers_are_equal(box, browser):
    for size in (None, PHONE):
        watched = await signed_in(browser, box, "miller", Role.OPERATOR, *([size] if size else []))
        page = watched.page
        if not box.desk.open_alerts():
            await box.desk.raise_alert(
                raised(
                    2,
                    probe_jpeg=raised(
                        3,
                    ).probe_jpeg,
                )
            )
        await page.wait_for_selector("#alert:not([hidden])")
        boxes = [await page.locator(f"#{which}").bounding_box() for which in ("probe", "candidate")]
        assert (boxes[0]["width"], boxes[0]["height"]) == (boxes[1]["width"], boxes[1]["height"])
        assert boxes[0]["y"] == boxes[1]["y"]
        style = "(e) => { const s = getComputedStyle(e); return [s.width, s.height, s.backgroundColor, s.color, s.fontSize, s.fontWeight] }"  # noqa: E501
        styles = [await answer.evaluate(style) for answer in await page.locator(".answer").all()]
        assert len(styles) == 3
        assert styles[0] == styles[1] == styles[2]
        assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
            "no sideways scrolling"
        )
        await page.click("#zoom")
        await page.click("#flip")
        transforms = [
            await page.locator(f"#{which}").evaluate("(e) => getComputedStyle(e).transform")
            for which in ("probe", "candidate")
        ]
        assert transforms[0] == transforms[1] != "none"
        await page.context.close()


async def test_a_decision_needs_no_scrolling_in_the_van(box, browser):
    """1366 × 768 is what an operator has: pictures, answers, reasons and the last button are all on it."""
    page = (await signed_in(browser, box, "miller", Role.OPERATOR)).page
    await linked(page)
    await box.desk.raise_alert(raised())
    await page.wait_for_selector("#alert:not([hidden])")
    bar = await page.locator("header.bar").bounding_box()
    assert bar["height"] <= 56, "one line"
    button = await page.locator(".finish button").bounding_box()
    assert button["y"] + button["height"] <= 768


async def test_a_backlog_is_one_line_and_leaves_the_answers_on_the_screen(tmp_path, browser):
    async with house(tmp_path / "late", policy=DeskPolicy(reassign_s=0.1, escalate_s=0.2)) as box:
        dark = Trouble("degraded", "camera north gives no picture", "no picture came in time")
        box.system.now = replace(van_status(), troubles=(dark,))
        page = (await signed_in(browser, box, "miller", Role.OPERATOR)).page
        await linked(page)
        for number in range(1, 7):
            await box.desk.raise_alert(raised(number))
        await page.wait_for_selector("#alert:not([hidden])")
        await page.wait_for_selector(
            '.banner:has-text("5 other alerts have waited too long, the first is alert 2")'
        )
        assert await page.locator(".banner", has_text="waited too long").count() == 1
        assert "gives no picture: no picture came in time" in await page.text_content("#banners")
        button = await page.locator(".finish button").bounding_box()
        assert button["y"] + button["height"] <= 768


async def test_a_page_that_lost_the_line_comes_back_and_misses_nothing(box, browser):
    watched = await signed_in(browser, box, "miller", Role.OPERATOR)
    page = watched.page
    await linked(page)
    first = await box.desk.raise_alert(raised(1))
    await page.wait_for_selector("#queue button")
    await page.context.set_offline(True)
    # Chromium keeps an open loopback socket in offline mode; cut it as a dead switch would.
    for task in [t for t in asyncio.all_tasks() if "_send" in repr(t.get_coro())]:
        task.cancel()
    await page.wait_for_selector('#link[data-link="lost"]')
    assert "Connection lost" in await page.text_content("#banners")
    second = await box.desk.raise_alert(raised(2))
    await page.context.set_offline(False)
    await linked(page)
    # No wait_for_function on these pages: it evaluates a string, which their policy forbids from the second look on.
    await page.wait_for_selector("#queue button >> nth=1")
    assert await page.locator("#queue button").count() == 2
    assert [a.id for a in box.desk.open_alerts()] == [first.id, second.id]


async def test_two_operators_one_decision(box, browser):
    miller = (await signed_in(browser, box, "miller", Role.OPERATOR)).page
    reed = (await signed_in(browser, box, "reed", Role.OPERATOR)).page
    await linked(miller)
    await linked(reed)
    alert = await box.desk.raise_alert(raised())
    for page in (miller, reed):
        await page.wait_for_selector("#alert:not([hidden])")
    statuses: list[int] = []
    for page in (miller, reed):
        page.on("response", lambda r: "/looks" in r.url and statuses.append(r.status))
        await page.keyboard.press("1" if page is miller else "2")
        await page.keyboard.press("q" if page is miller else "e")
    await asyncio.gather(miller.keyboard.press("Enter"), reed.keyboard.press("Enter"))
    for page in (miller, reed):
        await page.wait_for_selector("#after:not([hidden])")
    with contextlib.suppress(AssertionError):
        await until(lambda: len(statuses) == 2, 2.5)
    assert sorted(statuses) in (
        [200, 409],
        [200],
    )  # the live channel may have closed the look before the second key
    assert len(box.desk.get(alert.id.token).looks) == 1
    shown = {await page.text_content("#after .big") for page in (miller, reed)}
    assert len(shown) == 1, "both pages tell the same story"


async def test_an_answer_to_an_alert_that_moved_on_has_to_be_given_again(box, browser):
    watched = await signed_in(browser, box, "miller", Role.OPERATOR)
    page = watched.page

    async def with_an_old_version(route) -> None:
        body = route.request.post_data_json
        await route.continue_(post_data=json.dumps(body | {"version": body["version"] - 1}))

    await page.route("**/looks", with_an_old_version, times=1)  # as if the line had been slow just then
    await linked(page)
    alert = await box.desk.raise_alert(raised())
    await page.wait_for_selector("#alert:not([hidden])")
    for key in ("1", "q", "Enter"):
        await page.keyboard.press(key)
    await page.wait_for_selector("#readiness:has-text('moved on')")
    assert await page.query_selector('.answer[aria-pressed="true"]') is None, (
        "whoever looks again answers again"
    )
    assert await page.query_selector('.chip[aria-pressed="true"]') is not None, "the reasons stay"
    await page.keyboard.press("Enter")
    assert box.desk.get(alert.id.token).state is State.OFFERED
    for key in ("2", "Enter"):
        await page.keyboard.press(key)
    await page.wait_for_selector("#after:not([hidden])")


async def test_the_next_alert_comes_up_by_itself_but_leaves_time_to_read(box, browser):
    page = (await signed_in(browser, box, "miller", Role.OPERATOR)).page
    await linked(page)
    await box.desk.raise_alert(raised(1))
    await page.wait_for_selector("#alert:not([hidden])")
    await page.evaluate(WATCH_THE_CENTRE)
    for key in ("2", "e", "Enter"):
        await page.keyboard.press(key)
    await page.wait_for_selector("#after:not([hidden])")
    await box.desk.raise_alert(raised(2))
    await page.wait_for_selector("#alert-title:has-text('Alert 2')")
    changes = await page.evaluate("window.changes")
    decided_ms, next_ms = (changes[which] for which in ("decided", "Alert 2"))
    assert next_ms - decided_ms > 4900, "by the page's own clock: five seconds to read the figures"
    assert await page.locator('[aria-pressed="true"].answer').count() == 0


async def test_the_second_look_is_another_persons_and_blind(tmp_path, browser):
    async with house(tmp_path / "two", policy=DeskPolicy(looks=2)) as box:
        miller = (await signed_in(browser, box, "miller", Role.OPERATOR)).page
        reed = await signed_in(browser, box, "reed", Role.OPERATOR)
        await linked(miller)
        await linked(reed.page)
        alert = await box.desk.raise_alert(raised())
        await miller.wait_for_selector("#alert:not([hidden])")
        for key in ("1", "q", "Enter"):
            await miller.keyboard.press(key)
        await miller.wait_for_selector('#after:has-text("next look belongs to another person")')
        await reed.page.wait_for_selector('#alert-tags:has-text("second look")')
        assert "miller" not in await reed.page.text_content("main")
        assert "0.62" not in "".join(reed.wire)
        for key in ("2", "e", "Enter"):
            await reed.page.keyboard.press(key)
        await reed.page.wait_for_selector('#after:has-text("Not referred")')
        await miller.wait_for_selector('#after:has-text("Not referred")')
        assert box.desk.get(alert.id.token).state is State.NOT_REFERRED


async def test_a_drill_looks_like_an_alert_until_it_is_answered(box, browser):
    watched = await signed_in(browser, box, "miller", Role.OPERATOR)
    page = watched.page
    await linked(page)
    drill = await box.desk.raise_drill(raised(), Drill(Answer.DIFFERENT_PERSON, "case-1"))
    await page.wait_for_selector("#alert:not([hidden])")
    await page.wait_for_selector("[data-counter='raised']:has-text('1')")
    assert "drill" not in (await page.inner_text("body")).lower()
    assert "drill" not in "".join(watched.wire).lower()
    for key in ("1", "q", "Enter"):
        await page.keyboard.press(key)
    await page.wait_for_selector('#after:has-text("This was a drill")')
    assert "Different person" in await page.text_content("#after .banner")
    assert await page.locator("#take, #explain").count() == 0
    await page.wait_for_selector("[data-counter='raised']:has-text('0')")
    assert box.desk.get(drill.id.token).drill.right is False


async def test_pause_by_one_key_with_a_reason(box, browser):
    page = (await signed_in(browser, box, "miller", Role.OPERATOR)).page
    await linked(page)
    await page.wait_for_selector("[data-counter='erased']:has-text('18')")
    await page.keyboard.press("p")
    await page.wait_for_selector("dialog[open]")
    assert await page.evaluate("document.activeElement.id") == "why-why"
    await page.keyboard.type("ambulance in the zone")
    await page.keyboard.press("Enter")
    await page.wait_for_selector("#banners:has-text('paused')")
    assert box.system.paused
    assert "recognition.paused" in [entry.event.ev for _, entry in box.log.entries()]


async def test_single_keys_can_be_switched_off_and_typing_is_typing(box, browser):
    page = (await signed_in(browser, box, "miller", Role.OPERATOR)).page
    await linked(page)
    await box.desk.raise_alert(raised())
    await page.wait_for_selector("#alert:not([hidden])")
    await page.click("#note")
    await page.keyboard.type("123 pq")
    assert await page.locator('[aria-pressed="true"].answer').count() == 0
    assert await page.input_value("#note") == "123 pq"
    await page.click("#alert-title")
    await page.click("#keys")
    await page.keyboard.press("1")
    assert await page.locator('[aria-pressed="true"].answer').count() == 0
    await page.click("#keys")
    await page.keyboard.press("1")
    assert await page.locator('[aria-pressed="true"].answer').count() == 1


async def test_a_disabled_account_loses_its_page_at_once(box, browser):
    page = (await signed_in(browser, box, "miller", Role.OPERATOR)).page
    await linked(page)
    box.accounts.set_disabled("miller", disabled=True)
    await page.wait_for_url("**/sign-in**")  # within a second: tests/console/test_sign_in.py


async def test_tiles_are_asked_for_only_while_somebody_looks(box, browser):
    page = (await signed_in(browser, box, "miller", Role.OPERATOR)).page
    await linked(page)
    await until(lambda: set(box.system.asked_tiles) == {"north", "south"}, what="both cameras' tiles")
    await page.goto(f"{box.url}/system")
    await page.wait_for_timeout(300)
    asked = len(box.system.asked_tiles)
    await page.wait_for_timeout(1500)
    assert len(box.system.asked_tiles) == asked


async def painted(box, alert, pages: int) -> list[int]:
    """When each page said that it had painted the alert."""

    def told() -> list[int]:
        return [ns for token, ns, _ in box.system.painted_at if token == alert.id.token]

    await until(lambda: len(told()) >= pages, what="every page said that it painted the alert")
    assert len(told()) == pages
    return told()


async def test_painted_within_300_ms_on_the_loopback(box, browser):
    """The bar is p95 ≤ 300 ms with three clients; a busy test machine is given five times that."""
    pages = [
        (await signed_in(browser, box, name, Role.OPERATOR)).page for name in ("miller", "reed", "okafor")
    ]
    for page in pages:
        await linked(page)
    delays = []
    for number in range(1, 9):
        before = time.monotonic_ns()
        alert = await box.desk.raise_alert(raised(number))
        delays += [(ns - before) / 1e6 for ns in await painted(box, alert, 3)]
        for key in ("2", "e", "Enter"):
            await pages[0].keyboard.press(key)
        for page in pages:
            await page.wait_for_selector("#after:not([hidden])")
            await page.keyboard.press("n")
            await page.wait_for_selector("#empty:not([hidden])")
    print(f"raised → painted ms: p50 {statistics.median(delays):.0f} max {max(delays):.0f} n {len(delays)}")
    assert statistics.median(delays) < 1500
    first = await box.desk.raise_alert(raised(9))
    await painted(box, first, 3)
    second = await box.desk.raise_alert(raised(10))
    page = pages[0]
    await page.wait_for_selector(f'#queue [data-token="{second.id.token}"]')
    await page.click(f'#queue [data-token="{second.id.token}"]')
    await page.wait_for_selector(f'#queue [data-token="{second.id.token}"][aria-current=true]')
    await page.click(f'#queue [data-token="{first.id.token}"]')
    await page.wait_for_timeout(300)
    told = [token for token, _, _ in box.system.painted_at]
    assert told.count(first.id.token) == 3
    assert second.id.token not in told, "an alert that waited for a person measures the person"
