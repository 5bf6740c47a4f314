// A bundle is sent, its progress shown, its findings listed, and the list submitted. The server keeps the state: a page
// that is opened again shows where things are.

import { $, $$, el, grouped, marked, post, put, say } from "./dom.js";

const POLL_MS = 500;
const MB = 1024 * 1024;
let shown = "";  // what the drawn result belongs to
let offset = 0;
let asked = 0; // for entries: an answer that another question has overtaken is not drawn
let timer = 0;

const show = (node, on) => node && (node.hidden = !on);
const wrong = (body) => say("compile.wrong", { message: body.message, hint: body.hint ?? "" }).trim();

async function ask(path) {
  try {
    const answer = await fetch(path);
    if (answer.status === 401) location.assign("/sign-in?next=/watchlist");
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

function stage(state) {
  if (state.phase === "receiving") return [say("compile.receiving", { done: Math.round(state.size / MB), total: "…" }), null];
  if (state.phase === "received") return [say("compile.received"), null];
  if (!state.total) return [say("compile.starting"), null];
  const share = state.done / state.total;
  if (state.stage === "pictures" && share === 1) return [say("compile.comparing"), null];
  return [say(`compile.${state.stage}`, { done: grouped(state.done), total: grouped(state.total) }), share];
}

function drawRunning(state) {
  const busy = ["receiving", "received", "running"].includes(state.phase);
  show($("#running"), busy);
  show($("#send"), !busy && state.phase !== "done");
  if (!busy) return;
  const [text, share] = stage(state);
  put($("#stage"), text);
  const bar = $("#bar");
  if (share === null) bar.removeAttribute("value");
  else bar.value = share;
}

function drawRefused(state) {
  show($("#refused"), state.phase === "refused");
  if (state.phase !== "refused") return;
  const problems = state.survey.problems ?? [];
  // The survey's problems are listed one by one; the error's text would only repeat the first of them.
  put($("#refusal"), problems.length ? say("compile.refused") : state.refusal.message, problems.length ? "" : state.refusal.language ?? "");
  put($("#refusal-hint"), state.refusal.hint, state.refusal.language ?? "");
  const lines = problems.map((text) => marked(el("li", {}, text), state.survey.language));
  if (state.survey.more_problems) lines.push(el("li", {}, say("compile.more_problems", { count: grouped(state.survey.more_problems) })));
  $("#problems").replaceChildren(...lines);
}

function drawShares(id, rows) {
  $(`#${id} tbody`).replaceChildren(...rows.map(([name, count, percent]) => el(
    "tr", {}, el("th", { scope: "row" }, name || say("compile.not_given")),
    el("td", { className: "number" }, grouped(count)), el("td", { className: "number" }, percent.toFixed(1)),
  )));
}

function drawFound(state) {
  const there = ["done", "submitted"].includes(state.phase);
  show($("#found"), there);
  show($("#hand-in"), state.phase === "done");
  show($("#submitted"), state.phase === "submitted");
  if (!there || shown === state.sha256) return;
  shown = state.sha256;
  const { result } = state;
  put($("#outcome"), say("compile.done", { entries: grouped(result.facts.entries), images: grouped(result.facts.images) }));
  for (const node of $$("#found [data-verdict]")) if (node.tagName === "DD") put(node, grouped(result.verdicts[node.dataset.verdict] ?? 0));
  const findings = result.findings.map((finding) => marked(
    el("li", {}, finding.text, ...(finding.hint ? [" ", el("span", { className: "quiet" }, finding.hint)] : [])), finding.language));
  $("#findings").replaceChildren(...(findings.length ? findings : [el("li", {}, say("compile.no_findings"))]));
  drawShares("categories", state.categories);
  drawShares("sources", state.sources);
  put($("#hash"), state.sha256);
  show($("#leaving"), state.left_out > 0);
  put($("#leaving-text"), say("compile.leave_out", { count: grouped(state.left_out) }));
  offset = 0;
  void drawEntries();
  void reckon();
}

async function drawEntries() {
  const query = new URLSearchParams({ verdict: $("#verdict").value, find: $("#find").value.trim(), offset });
  const mine = (asked += 1);
  const page = await ask(`/api/compile/entries?${query}`);
  if (!page || mine !== asked) return;
  $("#compiled").replaceChildren(...page.entries.map((entry) => {
    const reasons = entry.images.flatMap((image) => image.reasons.map((reason) => `${image.image}: ${reason}`));
    const language = entry.images.find((image) => image.language)?.language;
    const verdict = el("td", {}, say(`compile.${entry.verdict}`));
    verdict.dataset.verdict = entry.verdict;
    const near = entry.look_alikes.map(([reference, score]) => say("compile.near", { reference, score: score.toFixed(2) }));
    return el("tr", {}, el("th", { scope: "row" }, entry.reference), verdict, marked(el("td", {}, reasons.join("; ")), language), el("td", {}, near.join(", ")));
  }));
  const last = offset + page.entries.length;
  put($("#place"), page.count ? say("compile.place", { from: offset + 1, to: last, count: grouped(page.count) }) : say("compile.none"));
  $("#earlier").disabled = offset === 0;
  $("#later").disabled = last >= page.count;
  $("#later").onclick = () => { offset += page.page; void drawEntries(); };
  $("#earlier").onclick = () => { offset = Math.max(0, offset - page.page); void drawEntries(); };
}

const figure = (value) => (value >= 10 ? grouped(Math.round(value)) : value >= 0.1 ? value.toFixed(1) : String(Number(value.toPrecision(2))));

/** The forecast as a sentence, and what it rests on as whoever measured it wrote it down. */
function drawExpected(found) {
  const basis = marked(el("span", { className: "quiet" }, found.basis), found.language);
  if (found.alerts === null) return $("#expected").replaceChildren(say("compile.expected_none"), " ", basis);
  const between = found.kind === "estimate" && found.low !== null
    ? say("compile.expected_between", { low: figure(found.low), high: figure(found.high) }) : "";
  const text = say(`compile.expected_${found.kind}`, { alerts: figure(found.alerts), between, passages: grouped(Math.round(found.passages)) });
  $("#expected").replaceChildren(text, " ", basis, found.extrapolated ? ` ${say("compile.expected_beyond")}` : "");
}

async function reckon() {
  const query = new URLSearchParams({ faces_per_hour: $("#faces").value, hours: $("#hours").value });
  const found = await ask(`/api/compile/forecast?${query}`);
  if (found) drawExpected(found);
  else put($("#expected"), "");
}

function draw(state) {
  drawRunning(state);
  drawRefused(state);
  drawFound(state);
  clearTimeout(timer);
  if (["receiving", "received", "running"].includes(state.phase)) timer = setTimeout(refresh, POLL_MS);
}

async function refresh() {
  const state = await ask("/api/compile");
  if (state) draw(state);
  else timer = setTimeout(refresh, 4 * POLL_MS);
}

function refuse(body) {
  draw({ phase: "refused", survey: {}, refusal: { message: wrong(body), hint: "", language: body.language } });
}

/** XMLHttpRequest, because fetch does not tell how much of a body has left. */
function upload(file) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.open("POST", `/api/compile?${new URLSearchParams({ name: file.name })}`);
    request.setRequestHeader("Content-Type", "application/zip");
    request.upload.onprogress = ({ loaded, total }) => {
      put($("#stage"), say("compile.receiving", { done: Math.round(loaded / MB), total: Math.round(total / MB) }));
      $("#bar").value = total ? loaded / total : 0;
    };
    request.onerror = () => resolve({ ok: false, body: { message: say("lost") } });
    request.onload = () => {
      let body = { message: request.statusText };
      try { body = JSON.parse(request.responseText); } catch { /* not ours: the status says what it was */ }
      resolve({ ok: request.status === 201, body });
    };
    request.send(file);
  });
}

function ready() {
  const form = $("#send"), input = $("#bundle"), drop = $("#drop");
  for (const kind of ["dragenter", "dragover"]) drop.addEventListener(kind, (event) => { event.preventDefault(); drop.classList.add("over"); });
  for (const kind of ["dragleave", "drop"]) drop.addEventListener(kind, () => drop.classList.remove("over"));
  drop.addEventListener("drop", (event) => {
    event.preventDefault();
    if (event.dataTransfer.files.length === 1) input.files = event.dataTransfer.files;
  });
  form.onsubmit = async (event) => {
    event.preventDefault();
    shown = "";
    drawRunning({ phase: "received" });
    show($("#refused"), false);
    show($("#found"), false);
    const sent = await upload(input.files[0]);
    if (!sent.ok) return refuse(sent.body);
    const passphrase = $("#passphrase")?.value || null;
    const started = await post("/api/compile/start", { passphrase });
    if ($("#passphrase")) $("#passphrase").value = "";
    form.reset();
    if (started.ok) draw(started.body);
    else refuse(started.body);
  };
  const erase = async () => {
    const { ok, body } = await post("/api/compile/cancel", {});
    if (ok) draw(body);
    else refuse(body);
  };
  $("#cancel").onclick = erase;
  $("#discard").onclick = erase;
  $("#submit").onclick = async () => {
    const passphrase = $("#unseal-passphrase")?.value || null;
    const { ok, body } = await post("/api/compile/submit", { leave_out: $("#leave-out").checked, passphrase });
    show($("#not-submitted"), !ok);
    if (!ok) return put($("#not-submitted"), wrong(body), body.language ?? "");
    await refresh();
  };
}

if ($("#compile")) {
  if ($("#send")) ready();
  $("#verdict").onchange = () => { offset = 0; void drawEntries(); };
  $("#find").oninput = () => { offset = 0; void drawEntries(); };
  $("#crowd").onsubmit = (event) => { event.preventDefault(); void reckon(); };
  void refresh();
}
