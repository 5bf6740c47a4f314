// The desk: queue, the alert in the centre, keys. What a look may know is decided on the server; this page cannot
// show a score before the look because it does not have one.

import { $, $$, askWhy, el, grouped, marked, post, put, say } from "./dom.js";
import { Live, Tone } from "./live.js";
import { afterLook, facts } from "./after.js";

const alerts = new Map(); // token → newest view
const heard = new Set();
const tone = new Tone();
let shown = null; // token of the alert in the centre
let state = null; // newest status
let draft = blank();
let linked = true;
let shownAt = 0; // when the centre last changed
let handAt = 0; // when a hand last moved
let arrived = null; // the alert whose offer is being handled now
const READ_MS = 5000; // time to read the figures after a look before the next alert comes up by itself
const QUIET_MS = 1500; // and never under a hand

function blank() {
  return { token: null, answer: null, factors: new Set(), busy: false };
}

const live = new Live({
  desk(picture) {
    alerts.clear();
    [...picture.open, ...picture.recent].forEach((view) => alerts.set(view.token, stamped(view)));
    picture.open.filter((view) => view.yours).forEach(announce);
    settle();
  },
  alert(event) {
    const view = stamped(event.alert);
    alerts.set(view.token, view);
    if (view.yours && ["offered", "looked", "escalated"].includes(event.kind)) announce(view, event.kind === "escalated");
    if (view.token === shown) show(view.token);
    arrived = event.kind === "offered" ? view.token : null;
    settle();
    arrived = null;
  },
  status(now) {
    const before = state;
    state = now;
    if (before) {
      const was = new Map(before.cameras.map((camera) => [camera.id, camera.state]));
      if (now.cameras.some((c) => c.state === "lost" && was.get(c.id) !== "lost")) tone.play([330, 262]);
    }
    drawStatus();
  },
  link(connected, resumed) {
    linked = connected;
    $("#link").dataset.link = connected ? "on" : "lost";
    put($("#link"), say(connected ? "connected" : "lost"));
    if (!connected) tone.play([330, 262]);
    if (resumed) flash(say("back"));
    drawBanners();
  },
});

/** Ages are counted on the page's own steady clock from the server's figure. */
function stamped(view) {
  view.since = performance.now() - view.waiting_ms;
  return view;
}

const seconds = (view) => Math.max(0, Math.floor((performance.now() - view.since) / 1000));
const openOnes = () => [...alerts.values()].filter((view) => view.open && view.yours).sort((a, b) => a.number - b.number);

function announce(view, again = false) {
  if (heard.has(view.token) && !again) return;
  heard.add(view.token);
  tone.play(again ? [784, 784, 988] : [659, 880]);
  put($("#announce"), say("new_alert", { number: view.number, camera: view.camera }));
}

/** Puts an alert in the centre when it is free, or when what stands there is decided and was read. */
function settle() {
  const current = alerts.get(shown);
  const waiting = openOnes();
  const now = performance.now();
  const read = current && !current.yours && now - shownAt > READ_MS && now - handAt > QUIET_MS && waiting.length > 0;
  if (!current || read) {
    const mine = waiting.find((view) => view.turn !== "other") ?? waiting[0];
    show(mine ? mine.token : null);
  }
  drawQueue();
}

function show(token) {
  const view = alerts.get(token) ?? null;
  const fresh = shown !== token || (view?.after && $("#after").hidden);
  if (fresh) shownAt = performance.now();
  shown = view ? token : null;
  $("#empty").hidden = Boolean(view);
  $("#alert").hidden = !view;
  if (!view) return;
  if (draft.token !== token) {
    draft = { ...blank(), token };
    $("#note").value = "";
    $("#pair").className = "pair";
    $$("#zoom, #flip").forEach((button) => button.setAttribute("aria-pressed", "false"));
    readiness("");
    pictures(view);
    document.activeElement?.blur(); // focus rests on none of the answers
  }
  put($("#alert-title"), say("alert", { number: view.number }));
  $("#alert-tags").replaceChildren(...tags(view));
  facts($("#facts"), view);
  $("#look").hidden = !view.yours;
  $("#after").hidden = !view.after;
  if (view.after) afterLook($("#after"), view, { next: nextAlert, waiting: openOnes().length, street });
  drawDraft();
}

function pictures(view) {
  const images = ["probe", "candidate"].map((which) => {
    const image = $(`#${which}`);
    image.hidden = !view.pictures;
    if (!view.pictures) image.removeAttribute("src");
    else image.src = `/alerts/${view.token}/${which}.jpg`;
    return image;
  });
  put($("#probe-note"), view.pictures ? "" : say("no_pictures"));
  if (!view.pictures || !view.open || arrived !== view.token) return; // one that waited for a person measures the person
  Promise.all(images.map((image) => image.decode())).then(
    () => shown === view.token && live.painted(view.token),
    () => {}, // replaced by another alert before it was decoded: then it was never painted
  );
}

function tags(view) {
  const list = [];
  if (view.open && view.look > 1) list.push(el("span", { className: "tag" }, say(view.look === 2 ? "second_look" : "third_look")));
  if (view.open && view.yours) list.push(el("span", { className: "tag" }, say(`turn_${view.turn}`)));
  if (view.open && view.yours) list.push(el("span", { className: "tag", id: "alert-age" }));
  if (view.after) list.push(el("span", { className: "tag" }, say(`state.${view.after.state}`)));
  return list;
}

function drawQueue() {
  const waiting = openOnes();
  const done = [...alerts.values()].filter((view) => !waiting.includes(view)).sort((a, b) => b.number - a.number);
  fill($("#queue"), waiting, (view) => say(`turn_${view.turn}`));
  fill($("#recent"), done.slice(0, 12), (view) => (view.after ? say(`state.${view.after.state}`) : ""));
  put($("#queue-count"), String(waiting.length));
  $("#queue-empty").hidden = waiting.length > 0;
  $("#recent-empty").hidden = done.length > 0;
  document.title = document.title.replace(/^(\(\d+\) )?/, waiting.length ? `(${waiting.length}) ` : "");
  tickAges();
}

/** Rebuilds a list only when it changed, so that focus stays where a person put it. */
function fill(list, views, under) {
  const key = views.map((v) => [v.token, v.turn, v.escalated, v.after?.state, v.token === shown].join()).join(";");
  if (list.dataset.key === key) return;
  list.dataset.key = key;
  const focused = document.activeElement?.dataset?.token;
  list.replaceChildren(
    ...views.map((view) => {
      const button = el("button", { type: "button" },
        el("span", {}, say("alert", { number: view.number })), el("span", { className: "age" }),
        el("span", { className: "under" }, `${view.camera} · ${under(view)}`));
      button.dataset.token = view.token;
      button.setAttribute("aria-current", String(view.token === shown));
      if (view.escalated && view.open) button.className = "late";
      button.onclick = () => { show(view.token); drawQueue(); };
      return el("li", {}, button);
    }),
  );
  if (focused) $(`[data-token="${focused}"]`, list)?.focus();
}

function tickAges() {
  for (const button of $$("#queue button")) {
    const view = alerts.get(button.dataset.token);
    if (view) put($(".age", button), say("waiting", { seconds: seconds(view) }));
  }
  const view = alerts.get(shown);
  if (view?.yours && $("#alert-age")) {
    put($("#alert-age"), say("waiting", { seconds: seconds(view) }));
    $("#alert-age").className = view.escalated ? "tag act" : "tag";
  }
}

// ── the look ──────────────────────────────────────────────────────────────────────────────────────────────────

function drawDraft() {
  for (const button of $$(".answer")) button.setAttribute("aria-pressed", String(button.dataset.answer === draft.answer));
  for (const chip of $$(".chip")) chip.setAttribute("aria-pressed", String(draft.factors.has(chip.dataset.factor)));
  const ready = draft.answer !== null && draft.factors.size > 0 && !draft.busy;
  $("#record").setAttribute("aria-disabled", String(!ready));
  return ready;
}

function choose(answer) {
  draft.answer = draft.answer === answer ? null : answer;
  readiness(drawDraft() ? say("ready") : draft.answer ? say("needs_reason") : "");
}

function toggle(factor) {
  if (!draft.factors.delete(factor)) draft.factors.add(factor);
  readiness(drawDraft() ? say("ready") : "");
}

function readiness(text, wrong = false, language = "") {
  put($("#readiness"), text, language);
  $("#readiness").className = wrong ? "wrong" : "quiet";
}

async function record() {
  const view = alerts.get(shown);
  if (!view?.yours || draft.busy) return;
  if (!drawDraft()) return readiness(say(draft.answer ? "needs_reason" : "needs_answer"), true);
  const factors = { subject: [], system: [], environment: [] };
  for (const chip of $$('.chip[aria-pressed="true"]')) factors[chip.dataset.group].push(chip.dataset.factor);
  draft.busy = true;
  readiness(say("recording"));
  drawDraft();
  const answer = await post(`/api/alerts/${view.token}/looks`,
    { answer: draft.answer, factors, note: $("#note").value, version: view.version });
  draft.busy = false;
  if (answer.ok) {
    take(answer.body);
    put($("#announce"), say("recorded"));
  } else if (answer.body.winner) {
    const winner = answer.body.winner;
    take(winner);
    flash(say("already", { account: winner.after?.looks.at(-1)?.account ?? "–" }));
  } else if (answer.body.error === "alert_changed") {
    draft.answer = null; // whoever looks again answers again; the reasons and the note stay
    readiness(say("changed"), true);
  } else {
    readiness(say("failed", { message: answer.body.message }), true, answer.body.language);
  }
  drawDraft();
}

/** Takes an answer's view unless the live channel already brought a newer one. */
function take(body) {
  if ((alerts.get(body.token)?.version ?? 0) <= body.version) alerts.set(body.token, stamped(body));
  if (shown === body.token) {
    document.activeElement?.blur();
    show(body.token);
  }
  drawQueue();
}

async function street(view, path, body) {
  const answer = await post(`/api/alerts/${view.token}/${path}`, { ...body, version: view.version });
  if (answer.ok) take(answer.body);
  else if (answer.body.winner) take(answer.body.winner);
  if (!answer.ok) flash(say("failed", { message: answer.body.message }));
}

function nextAlert() {
  const waiting = openOnes().filter((view) => view.token !== shown);
  show((waiting.find((view) => view.turn !== "other") ?? waiting[0])?.token ?? null);
  drawQueue();
}

// ── state of the box ──────────────────────────────────────────────────────────────────────────────────────────

let flashed = { text: "", until: 0 };

function flash(text) {
  flashed = { text, until: performance.now() + 6000 };
  drawBanners();
}

function drawBanners() {
  const lines = [];
  const add = (health, text, language) => lines.push([health, text, language]);
  if (!linked) add("failed", say("lost"));
  if (state?.paused) add("failed", say("paused"));
  for (const trouble of state?.troubles ?? []) add(trouble.health, [trouble.text, trouble.hint].filter(Boolean).join(": "), trouble.language);
  for (const camera of state?.cameras ?? []) {
    if (["lost", "stalled"].includes(camera.state)) {
      add("failed", say("camera_lost", { camera: camera.id, state: say(`camera_state.${camera.state}`), note: camera.note ? `: ${camera.note}` : "" }), camera.language);
    }
  }
  const late = openOnes().filter((view) => view.escalated && view.token !== shown);
  // One line however many, and no age that ticks: a reader would say it anew every second. The queue has the ages.
  if (late.length) add("failed", say(late.length > 1 ? "escalated" : "escalated_one", { count: late.length, number: late[0].number }));
  if (state && state.idle_left_s < 120) add("degraded", say("idle", { seconds: state.idle_left_s }));
  if (tone.blocked) add("ok", tone.text());
  if (performance.now() < flashed.until) add("ok", flashed.text);
  const box = $("#banners");
  const key = JSON.stringify(lines);
  if (box.dataset.key === key) return;
  box.dataset.key = key;
  box.replaceChildren(...lines.map(([health, text, language]) => marked(el("p", { className: "banner", "data-health": health }, text), language)));
}

function drawStatus() {
  drawBanners();
  const figures = { ...state.counters, ...state.ledger, ...state.desk };
  for (const node of $$("[data-counter]")) put(node, grouped(figures[node.dataset.counter]));
  for (const camera of state.cameras) {
    const tile = $(`.tile[data-camera="${CSS.escape(camera.id)}"]`);
    if (!tile) continue;
    tile.dataset.state = camera.state;
    put($(".tile-state", tile), say(`camera_state.${camera.state}`));
    const parts = [say("faces", { n: Math.round(camera.faces_per_min) })];
    if (camera.median_eye_px !== null) parts.push(say("eyes", { px: Math.round(camera.median_eye_px) }));
    if (camera.blind_s >= 60) parts.push(say("blind", { minutes: Math.floor(camera.blind_s / 60) }));
    put($(".tile-facts", tile), parts.join(" · "));
    put($(".tile-none", tile), camera.state === "live" ? say("no_picture") : say(`camera_state.${camera.state}`));
  }
  put($("#empty-text"), say(state.recognising ? "empty_running" : "empty_stopped"));
  const texts = $("#pause-texts").dataset;
  put($("[data-pause]"), state.paused ? texts.resume : texts.pause);
}

function askPause() {
  if (!state) return;
  const texts = $("#pause-texts").dataset;
  const paused = state.paused;
  askWhy(paused ? texts.resumeTitle : texts.pauseTitle, paused ? texts.resumeText : texts.pauseText,
    (why) => post(paused ? "/api/resume" : "/api/pause", { why }));
}

/** Asks for tiles only while the page is looked at and the tile is in view: otherwise they cost nothing. */
const inView = new Set();
const watcher = new IntersectionObserver((entries) => entries.forEach((entry) =>
  entry.isIntersecting ? inView.add(entry.target) : inView.delete(entry.target)));
$$(".tile").forEach((tile) => watcher.observe(tile));

function refreshTiles() {
  if (document.hidden || !linked) return;
  for (const tile of inView) {
    if (tile.dataset.loading) continue;
    const image = new Image();
    tile.dataset.loading = "1";
    image.onload = image.onerror = () => {
      delete tile.dataset.loading;
      const old = $("img", tile);
      const there = image.naturalWidth > 0;
      if (there) old.replaceWith(image);
      else old.hidden = true;
      image.alt = "";
      $(".tile-none", tile).hidden = there;
    };
    image.src = `/tiles/${encodeURIComponent(tile.dataset.camera)}.jpg?at=${Date.now()}`;
  }
}

// ── hands ─────────────────────────────────────────────────────────────────────────────────────────────────────

function pressed(button, name) {
  const on = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(on));
  $("#pair").classList.toggle(name, on);
}

$$(".answer").forEach((button) => (button.onclick = () => choose(button.dataset.answer)));
$$(".chip").forEach((chip) => (chip.onclick = () => toggle(chip.dataset.factor)));
$("#record").onclick = record;
$("#zoom").onclick = () => pressed($("#zoom"), "zoomed");
$("#flip").onclick = () => pressed($("#flip"), "flipped");
$("#pause").onclick = askPause;
for (const id of ["sound", "keys"]) {
  $(`#${id}`).onclick = (event) => {
    const on = event.currentTarget.getAttribute("aria-pressed") !== "true";
    event.currentTarget.setAttribute("aria-pressed", String(on));
    if (id === "sound") tone.on = on;
  };
}

addEventListener("keydown", (event) => {
  const target = event.target;
  if (event.key === "Enter" && target.id === "note") { event.preventDefault(); return record(); }
  if (event.repeat || event.ctrlKey || event.altKey || event.metaKey) return;
  if (target.matches("input, textarea, select") || $("dialog[open]")) return;
  // Single-key shortcuts can be switched off (WCAG 2.1.4).
  if ($("#keys").getAttribute("aria-pressed") !== "true") return;
  const key = event.key.toLowerCase();
  const looking = alerts.get(shown)?.yours;
  const chip = looking && $(`.chip[data-key="${CSS.escape(key)}"]`);
  if (key === "p") askPause();
  else if (key === "l" && shown) $("#zoom").click();
  else if (key === "m" && shown) $("#flip").click();
  else if (key === "n") nextAlert();
  else if (looking && "123".includes(key) && key) $$(".answer")[Number(key) - 1].click();
  else if (chip) chip.click();
  else if (key === "enter" && !target.closest("button, a")) {
    if (looking) record();
    else if (openOnes().length) nextAlert();
    else return;
  } else return;
  event.preventDefault();
});

for (const kind of ["pointerdown", "pointermove", "keydown"]) {
  addEventListener(kind, () => (handAt = performance.now()), { passive: true });
}
setInterval(() => { settle(); drawBanners(); }, 500);
setInterval(refreshTiles, 1000);
refreshTiles();
