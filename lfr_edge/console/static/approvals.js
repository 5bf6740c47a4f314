// What waits for a second person: read it, prove who you are, say yes or no. And the keys this box believes.

import { $, askWhy, el, post, put, recorded, say } from "./dom.js";
import { freshly } from "./fresh.js";

const REFRESH_MS = 3000;
let view = JSON.parse($("#view").textContent);
let read = performance.now(); // when the server counted left_s

const groups = (digest) => digest.match(/.{1,8}/g).join(" ");
const time = (utc) => `${utc.slice(0, 16).replace("T", " ")} UTC`;
const fact = (name, value) => el("div", {}, el("dt", {}, name), el("dd", {}, value));

function tell(text, failed = false, language = "") {
  const told = $("#told");
  put(told, text, language);
  told.dataset.health = failed ? "failed" : "ok";
  told.hidden = false;
}

const leftText = (proposal) => {
  const left = Math.max(0, proposal.left_s - Math.floor((performance.now() - read) / 1000));
  return say("approvals.left", { minutes: Math.floor(left / 60), seconds: String(left % 60).padStart(2, "0") });
};

async function approve(proposal) {
  if (!(await freshly())) return;
  const { ok, body } = await post(`/api/approvals/${proposal.id}/approve`, { sha256: proposal.sha256 });
  if (!ok) tell(say("error", { message: `${body.message}. ${body.hint}` }), true, body.language);
  else if (body.problem) tell(say("approvals.approved_failed", { message: body.problem }), true, body.language);
  else tell(say(body.carried_out ? "approvals.carried_out" : "approvals.approved"));
  await refresh();
}

function refuse(proposal) {
  const mine = proposal.mine;
  askWhy(say(mine ? "approvals.withdraw" : "approvals.refuse"), proposal.summary[0], async (why) => {
    const answer = await post(`/api/approvals/${proposal.id}/refuse`, { why });
    if (answer.ok) {
      tell(say("approvals.refused"));
      await refresh();
    }
    return answer;
  }, document.documentElement.lang === "en" ? "" : "en");
}

function buttons(proposal) {
  const row = el("div", { className: "row" });
  if (proposal.state === "proposed" && !proposal.why_not) {
    const yes = el("button", { type: "button" }, say("approvals.approve")); // no more inviting than the other
    yes.dataset.approve = proposal.id;
    yes.onclick = () => approve(proposal);
    row.append(yes);
  }
  if (proposal.may_refuse) {
    const no = el("button", { type: "button" }, say(proposal.mine ? "approvals.withdraw" : "approvals.refuse"));
    no.dataset.refuse = proposal.id;
    no.onclick = () => refuse(proposal);
    row.append(no);
  }
  return row;
}

function card(proposal) {
  const left = el("span", {}, leftText(proposal));
  left.dataset.left = proposal.id;
  const state = proposal.state === "approved"
    ? say("approvals.waits_use", { account: proposal.approver })
    : proposal.why_not ? say(`approvals.why_not.${proposal.why_not}`) : say("approvals.your_turn");
  const title = el("h3", { id: `title-${proposal.id}` }, say(`approvals.kind.${proposal.kind}`));
  const node = el("article", { className: "card proposal" }, title,
    el("ul", {}, ...proposal.summary.map((line) => recorded(el("li", {}, line)))),
    el("dl", { className: "facts" },
      fact(say("approvals.proposer"), `${proposal.proposer}, ${time(proposal.at)}`),
      fact(say("approvals.left_label"), left),
      fact(say("approvals.digest"), el("code", {}, groups(proposal.sha256)))),
    el("p", { className: "quiet" }, state), buttons(proposal));
  node.setAttribute("aria-labelledby", title.id);
  return node;
}

function settledRow(proposal) {
  const cells = [say(`approvals.state.${proposal.state}`), proposal.proposer, proposal.approver || "–", time(proposal.at)];
  return el("tr", {}, el("th", { scope: "row" }, say(`approvals.kind.${proposal.kind}`)), ...cells.map((cell) => el("td", {}, cell)),
    el("td", {}, el("code", {}, proposal.sha256.slice(0, 16))));
}

function keyRow(key, remove) {
  const cells = [say(`approvals.for.${key.purpose}`), el("code", {}, key.key_id), key.enrolled_by, key.approved_by, time(key.at)];
  const row = el("tr", {}, el("th", { scope: "row" }, key.name), ...cells.map((cell) => el("td", {}, cell)));
  if (remove) {
    const button = el("button", { type: "button", className: "plain" }, remove);
    button.setAttribute("aria-label", `${remove} ${key.name}`);
    button.onclick = async () => proposed(await post("/api/trust/removal", { purpose: key.purpose, key_id: key.key_id }));
    row.append(el("td", {}, button));
  }
  return row;
}

async function proposed(answer) {
  if (answer.ok) tell(say("approvals.proposed"));
  else tell(say("error", { message: answer.body.message }), true, answer.body.language);
  await refresh();
  return answer.ok;
}

/** Everything but the counting seconds; what is unchanged is not drawn again, so that the focus stays. */
const shape = () => JSON.stringify(view, (name, value) => (name === "left_s" ? undefined : value));
let drawn = "";

function draw() {
  if (shape() === drawn) return;
  drawn = shape();
  const focused = document.activeElement?.dataset ?? {};
  $("#open").replaceChildren(...view.open.map(card));
  $("#none").hidden = view.open.length > 0;
  $("#settled").replaceChildren(...view.settled.map(settledRow));
  $("#settled-card").hidden = view.settled.length === 0;
  const table = $("#keys");
  table.replaceChildren(...view.keys.map((key) => keyRow(key, table.dataset.remove)));
  $("#keys-table").hidden = view.keys.length === 0;
  $("#no-keys").hidden = view.keys.length > 0;
  for (const kind of ["approve", "refuse"]) {
    if (focused[kind]) $(`[data-${kind}="${focused[kind]}"]`)?.focus();
  }
}

let asked = 0;
let newest = 0; // of what is drawn: an older answer that comes after it is not

async function refresh() {
  const mine = (asked += 1);
  try {
    const response = await fetch("/api/approvals");
    if (response.status === 401) return location.assign("/sign-in");
    if (!response.ok) return;
    const now = await response.json();
    if (mine < newest) return;
    newest = mine;
    view = now;
    read = performance.now();
    draw();
  } catch {
    tell(say("lost"), true);
  }
}

const form = $("#enrol-form");
if (form) {
  form.onsubmit = async (event) => {
    event.preventDefault();
    const given = Object.fromEntries(new FormData(form));
    const problem = $(".problem", form);
    const answer = await post("/api/trust", given);
    problem.hidden = answer.ok;
    if (!answer.ok) return put(problem, say("error", { message: answer.body.message }), answer.body.language ?? "");
    form.reset();
    $("#enrol").open = false;
    await proposed(answer);
  };
}

draw();
setInterval(() => {
  for (const proposal of view.open) put($(`[data-left="${proposal.id}"]`), leftText(proposal));
}, 1000);
setInterval(refresh, REFRESH_MS);
