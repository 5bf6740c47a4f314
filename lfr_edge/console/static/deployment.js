// One deployment from preparation to receipts. The server decides; this page shows, asks, and refreshes every two seconds.

import { $, $$, askWhy, el, grouped, marked, post, put, recorded, say } from "./dom.js";

const REFRESH_MS = 2000;
const { may, me, view: first } = JSON.parse($("#view").textContent);
let view = first;
let acts = 0; // answered so far: what was asked before such an answer is older than it

const show = (node, on) => node && (node.hidden = !on);
const time = (utc) => `${utc.slice(0, 16).replace("T", " ")} UTC`;
const digest = (hex) => el("code", { title: hex }, `${hex.slice(0, 16)}…`);

function left(seconds) {
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  if (hours) return say("deployment.left_hours", { hours, minutes: String(minutes).padStart(2, "0") });
  return say("deployment.left_minutes", { minutes, seconds: String(seconds % 60).padStart(2, "0") });
}

/** Rows of a definition list, kept in place so that nothing jumps and a screen reader hears only what changed. */
function facts(list, rows) {
  const wanted = rows.filter(([, value]) => value !== null && value !== undefined && value !== "");
  if (list.children.length !== wanted.length) list.replaceChildren(...wanted.map(() => el("div", {}, el("dt"), el("dd"))));
  wanted.forEach(([name, value], at) => {
    const row = list.children[at];
    put(row.firstChild, name);
    if (value instanceof Node) row.lastChild.textContent === value.textContent || row.lastChild.replaceChildren(value);
    else put(row.lastChild, value);
  });
}

function stateText() {
  if (view.busy) return say(`deployment.busy.${view.busy}`);
  if (view.phase === "running" && view.paused) return say("deployment.paused");
  if (view.resuming) return say("deployment.resuming");
  return say(`deployment.phase.${view.phase}`);
}

function drawState() {
  const { authority, phase } = view;
  put($("#name"), view.id);
  put($("#state"), stateText());
  put($("#about"), say(`deployment.about.${view.resuming ? "resuming" : phase}`, { why: view.why_ended || "–" }));
  facts($("#facts"), [
    [say("deployment.left"), phase === "running" && view.remaining_s !== null ? left(view.remaining_s) : null],
    [say("deployment.operation"), authority?.operation],
    [say("deployment.place"), authority?.place],
    [say("deployment.use_case"), authority?.use_case],
    [say("deployment.window"), authority ? `${time(authority.start)} – ${time(authority.end)}` : null],
    [say("deployment.purpose"), say(`deployment.purposes.${view.purpose}`)],
    [say("deployment.started"), view.started ? time(view.started) : null],
    [say("deployment.list"), view.list_sha256 ? say(view.list_size === 1 ? "deployment.list_one" : "deployment.list_text", { count: grouped(view.list_size) }) : null],
    [say("deployment.digest"), view.list_sha256 ? digest(view.list_sha256) : null],
    [say("deployment.threshold"), view.threshold === null ? null : view.threshold.toFixed(4)],
    [say("deployment.pack"), view.pack],
    [say("deployment.retention"), say("deployment.hours", { hours: view.alert_images_h })],
    [say("deployment.root"), view.root ? digest(view.root) : null],
    [say("deployment.entries"), view.log_size ? grouped(view.log_size) : null],
  ]);
  const told = [];
  if (view.failure) told.push(["failed", say("deployment.failure", { why: view.failure })]);
  if (phase === "running" && view.remaining_s !== null && view.remaining_s < 600) {
    told.push(["degraded", say("deployment.soon", { left: left(view.remaining_s) })]);
  }
  const banners = $("#banners");
  if (banners.textContent !== told.map(([, text]) => text).join("")) {
    banners.replaceChildren(...told.map(([health, text]) => {
      const banner = el("p", { className: "banner" }, text);
      banner.dataset.health = health;
      return banner;
    }));
  }
}

function drawActs() {
  const preparing = view.phase === "preparing", running = view.phase === "running";
  const start = $("#start");
  show(start, preparing && !view.resuming);
  const missing = view.lines.filter((line) => line.required && !line.ok);
  if (start) start.setAttribute("aria-disabled", String(!view.ready || Boolean(view.busy)));
  show($("#start-why"), preparing && missing.length > 0);
  put($("#start-why"), say("deployment.missing", { count: missing.length }));
  show($("#end"), preparing || running);
  show($("#cancel"), preparing || running);
  show($("#next"), view.phase === "ended");
  show($("#approvals"), view.phase !== "ended" && $('nav a[href="/approvals"]') !== null);
  show($("#reports"), view.phase === "ended" && $('nav a[href="/reports"]') !== null);
}

function lineNode(line) {
  const node = el("li", {}, el("span", { className: "mark" }), el("div", {}, el("strong"), el("span", { className: "says" }),
    el("p", { className: "hint quiet" })));
  node.dataset.line = line.code;
  return node;
}

/** An authority's own words are of the language in which the officer wrote it. */
function clauseNode(clause) {
  const text = el("span", {}, clause.text);
  const node = el("li", {}, `${clause.ok ? "✓" : "✗"} ${clause.number} ${clause.title}: `, clause.own_words ? recorded(text) : text);
  return marked(node, clause.language);
}

function clausesNode(clauses) {
  const broken = clauses.filter((clause) => !clause.ok).length;
  return el("details", {}, el("summary", {}, say("deployment.clauses", { count: clauses.length, broken })),
    el("ul", {}, ...clauses.map((clause) => clauseNode(clause))));
}

function drawLines() {
  show($("#readiness"), view.phase === "preparing");
  const list = $("#lines");
  for (const line of view.lines) {
    let node = $(`[data-line="${line.code}"]`, list);
    if (!node) list.append((node = lineNode(line)));
    const state = line.ok ? "ok" : line.required ? "missing" : "advice";
    node.dataset.state = state;
    put($(".mark", node), say(`deployment.mark.${state}`));
    put($("strong", node), say(`deployment.line.${line.code}`));
    put($(".says", node), line.text, line.language ?? "");
    put($(".hint", node), line.hint, line.language ?? "");
    show($(".hint", node), Boolean(line.hint));
    const known = JSON.stringify(line.clauses);
    if (node.dataset.clauses !== known && line.clauses.length) {
      const open = $("details", node)?.open ?? false;
      $("details", node)?.remove();
      node.lastChild.append(clausesNode(line.clauses));
      $("details", node).open = open;
      node.dataset.clauses = known;
    }
  }
  for (const node of $$("li[data-line]", list)) if (!view.lines.some((line) => line.code === node.dataset.line)) node.remove();
}

function drawForms() {
  const preparing = view.phase === "preparing", running = view.phase === "running";
  show($("#authority-card"), preparing || running);
  put($("#authority-title"), say(running ? "deployment.extend" : "deployment.authority"));
  show($("#unseal-card"), preparing && !view.list_sha256);
  show($("#passphrase-field"), view.passphrase);
  show($("#propose-card"), preparing || running);
  show($("#propose-list"), preparing && Boolean(view.list_sha256));
  show($("#threshold-form"), running);
  show($("#retention-form"), running);
  show($("#model-form"), preparing);
  const proposed = view.proposed.map((one) => [one.summary[0], say(`deployment.proposed.${one.state}`, { what: "", account: one.proposer })]);
  const list = $("#proposed");
  if (list && list.textContent !== proposed.flat().join("")) list.replaceChildren(...proposed.map(([what, text]) => el("li", {}, recorded(el("span", {}, what)), text)));
}

function drawBriefing() {
  const { text, acknowledged } = view.briefing;
  show($("#briefing-card"), view.phase !== "ended");
  const box = $("#briefing");
  if (box.dataset.sha256 !== view.briefing.sha256) {
    box.dataset.sha256 = view.briefing.sha256;
    box.replaceChildren(...text.split(/\n\s*\n/).filter(Boolean).map((part) => recorded(el("p", {}, part))));
  }
  const conditions = view.authority?.conditions ?? [];
  show($("#conditions-title"), conditions.length > 0);
  if ($("#conditions").textContent !== conditions.join("")) $("#conditions").replaceChildren(...conditions.map((one) => recorded(el("li", {}, one))));
  put($("#acknowledged"), acknowledged.length ? say("deployment.acknowledged", { accounts: acknowledged.join(", ") }) : say("deployment.nobody"));
  show($("#acknowledge"), !acknowledged.includes(me));
}

function drawReceipts() {
  show($("#receipts-card"), view.phase === "ended");
  const { receipts } = view;
  put($("#receipts-verdict"), say(receipts === null ? "deployment.receipts_none" : receipts.complete ? "deployment.receipts_complete" : "deployment.receipts_incomplete"));
  $("#receipts-verdict").className = receipts && !receipts.complete ? "problem" : "";
  const rows = (receipts?.items ?? []).map((item) => el("tr", {}, el("th", { scope: "row" }, item.what), el("td", {}, grouped(item.items)),
    el("td", {}, time(item.when)), recorded(el("td", { className: "breaks" }, item.how)), el("td", {}, say(item.key_destroyed ? "deployment.yes" : "deployment.no")),
    el("td", {}, item.left ? say("deployment.still_there", { left: "" }) : "", recorded(el("span", {}, item.left || item.checked)))));
  if ($("#receipts").children.length !== rows.length) $("#receipts").replaceChildren(...rows);
}

async function drawCounters() {
  show($("#counters-card"), view.phase === "running");
  if (view.phase !== "running") return;
  const answer = await fetch("/api/status");
  if (!answer.ok) return;
  const { counters, ledger, desk } = await answer.json();
  facts($("#counters"), [
    [say("deployment.faces"), grouped(counters.faces)], [say("deployment.probes"), grouped(counters.probes)],
    [say("deployment.erased"), grouped(ledger.erased)], [say("deployment.kept"), grouped(ledger.retained)],
    [say("deployment.alerts"), grouped(desk.raised)], [say("deployment.undecided"), grouped(desk.undecided)],
  ]);
}

function draw(now) {
  view = now;
  drawState();
  drawActs();
  drawLines();
  drawForms();
  drawBriefing();
  drawReceipts();
  document.body.dataset.phase = view.phase;
}

async function refresh() {
  if (document.hidden) return;
  const before = acts;
  try {
    const answer = await fetch("/api/deployment");
    if (answer.status === 401) return location.assign("/sign-in?next=/deployment");
    const now = answer.ok ? await answer.json() : null;
    if (now && acts === before) draw(now);
    await drawCounters();
  } catch {
    // the next refresh tries again; what the page shows stays the last known
  }
}

/** POST; the answer is the deployment as it stands then. A refusal is shown in `problem`. */
async function act(path, body, problem = $("#problem")) {
  problem.hidden = true;
  const answer = await post(`/api/deployment/${path}`, body);
  if (answer.ok) {
    acts += 1;
    draw(answer.body);
    await drawCounters();
  } else {
    put(problem, [answer.body.message, answer.body.hint].filter(Boolean).join(". "), answer.body.language ?? "");
    problem.hidden = false;
  }
  return answer;
}

const on = (selector, event, handler) => $(selector)?.addEventListener(event, handler);

on("#start", "click", async () => {
  if ($("#start").getAttribute("aria-disabled") === "true") {
    const missing = view.lines.find((line) => line.required && !line.ok);
    put($("#problem"), missing ? `${say(`deployment.line.${missing.code}`)}: ${missing.text}. ${missing.hint}` : stateText());
    return show($("#problem"), true);
  }
  put($("#state"), say("deployment.busy.starting"));
  await act("start", {});
});
on("#next", "click", () => act("next", {}));
on("#cancel", "click", () => askWhy(say("deployment.cancel_title"), say("deployment.cancel_text"), (why) => act("cancel", { why })));
on("#end", "click", () => {
  const dialog = $("#ending"), problem = $(".problem", dialog);
  $("#ending-why").value = "";
  $("#imports").checked = false;
  show($("#imports-choice"), view.imports > 0);
  problem.hidden = true;
  $("[data-cancel]", dialog).onclick = () => dialog.close();
  $("form", dialog).onsubmit = async (event) => {
    event.preventDefault();
    const answer = await act("end", { why: $("#ending-why").value.trim(), erase_imports: $("#imports").checked }, problem);
    if (answer.ok) dialog.close();
  };
  dialog.showModal();
});
on("#acknowledge", "click", () => act("briefing", { sha256: view.briefing.sha256 }));
on("#authority-form", "submit", async (event) => {
  event.preventDefault();
  const [file] = $("#authority-file").files;
  if (!file) return;
  const answer = await act("authority", { authority: await file.text() }, $(".problem", event.target));
  if (answer.ok) event.target.reset();
});
on("#unseal-form", "submit", async (event) => {
  event.preventDefault();
  const passphrase = view.passphrase && $("#passphrase").value ? $("#passphrase").value : null;
  const answer = await act("unseal", { passphrase }, $(".problem", event.target));
  event.target.reset();
  if (!answer.ok) $("#passphrase").focus();
});
on("#propose-list", "click", () => act("propose/watchlist", {}, $("#propose-problem")));
for (const form of $$("form[data-propose]")) {
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const answer = await act(`propose/${form.dataset.propose}`, { value: $("input", form).value.trim() }, $("#propose-problem"));
    if (answer.ok) form.reset();
  });
}

draw(view);
drawCounters();
setInterval(refresh, REFRESH_MS);
