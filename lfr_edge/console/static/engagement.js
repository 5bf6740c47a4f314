// The street's page, on a phone: one referral in view, the pictures first, no score.

import { $, el, post, put, say } from "./dom.js";
import { Live, Tone } from "./live.js";

const referrals = new Map(); // token → newest view
const heard = new Set();
const tone = new Tone();
const OPEN = ["referred", "engaged"];
let shown = null;
let busy = false;
let deployment = null;

new Live({
  desk(picture) {
    referrals.clear();
    picture.referrals.forEach((view) => {
      referrals.set(view.token, view);
      heard.add(view.token);
    });
    settle();
  },
  alert({ alert: view }) {
    referrals.set(view.token, view);
    if (view.state === "referred" && !heard.has(view.token)) {
      heard.add(view.token);
      tone.play([659, 880]);
      put($("#announce"), say("new_referral", { number: view.number }));
    }
    if (view.token === shown) show(view.token);
    settle();
  },
  status(now) {
    const phase = now.deployment.phase ?? "running";
    if (deployment !== null && deployment !== now.deployment.id) referrals.clear();
    deployment = now.deployment.id;
    put($("#empty-text"), say(phase === "running" ? "street_waiting" : "street_not_running"));
    settle();
  },
  link(connected) {
    $("#link").dataset.link = connected ? "on" : "lost";
    put($("#link"), say(connected ? "connected" : "lost"));
    banner(connected ? "" : say("lost"), "failed");
  },
});

function banner(text, health = "ok") {
  $("#banners").replaceChildren(...(text ? [el("p", { className: "banner", "data-health": health }, text)] : []));
}

const inOrder = () => [...referrals.values()].sort((a, b) =>
  OPEN.includes(b.state) - OPEN.includes(a.state) || b.number - a.number);

function settle() {
  if (!referrals.has(shown)) show(inOrder().find((view) => OPEN.includes(view.state))?.token ?? null);
  const views = inOrder();
  const key = views.map((v) => [v.token, v.version, v.token === shown].join()).join(";");
  if ($("#list").dataset.key !== key) {
    $("#list").dataset.key = key;
    const focused = document.activeElement?.dataset?.token;
    $("#list").replaceChildren(...views.map(row));
    if (focused) $(`#list [data-token="${focused}"]`)?.focus();
  }
  $("#list-empty").hidden = views.length > 0;
}

function row(view) {
  const button = el("button", { type: "button" }, el("span", {}, say("alert", { number: view.number })),
    el("span", { className: "under" }, `${view.camera} · ${standing(view)}`));
  button.dataset.token = view.token;
  button.setAttribute("aria-current", String(view.token === shown));
  button.onclick = () => {
    show(view.token);
    settle();
    $("#referral-title").focus();
  };
  return el("li", {}, button);
}

function standing(view) {
  if (view.outcome) return say(`outcome.${view.outcome}`);
  return view.engaged_by ? say("taken_by", { account: view.engaged_by }) : say(`state.${view.state}`);
}

function show(token) {
  const view = referrals.get(token) ?? null;
  const other = token !== shown;
  shown = view ? token : null;
  $("#empty").hidden = Boolean(view);
  $("#referral").hidden = !view;
  if (!view) return;
  if (other) {
    $("#close").reset();
    $("#problem").hidden = true;
    for (const which of ["probe", "candidate"]) {
      const image = $(`#${which}`);
      image.hidden = !view.pictures;
      if (view.pictures) image.src = `/alerts/${view.token}/${which}.jpg`;
      else image.removeAttribute("src");
    }
  }
  put($("#referral-title"), say("alert", { number: view.number }));
  $("#referral-tags").replaceChildren(el("span", { className: "tag" }, standing(view)));
  $("#facts").replaceChildren(...[
    [say("response_label"), say(`response.${view.response}`)],
    [say("category"), view.category],
    [say("camera"), view.camera],
    [say("captured"), `${view.captured.slice(11, 19)} UTC`],
    [say("reference"), view.reference],
    [say("source"), view.source_title],
    ...(view.identity ? [[say("identity_title"), say(`identity.${view.identity}`)]] : []),
  ].map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
  $("#looks").replaceChildren(...view.looks.map((look) => {
    const reasons = Object.values(look.factors).flat().map((factor) => say(`factor.${factor}`)).join(", ");
    return el("li", {}, el("strong", {}, say(`answer.${look.answer}`)),
      el("span", { className: "quiet" }, ` ${reasons}${look.note ? ` · ${look.note}` : ""}`));
  }));
  $(".caution").hidden = view.state === "closed";
  $("#take").hidden = view.state !== "referred";
  $("#lost").hidden = view.state !== "referred";
  $("#close").hidden = view.state !== "engaged";
  $("#receipt").hidden = !view.receipt;
  put($("#code"), view.receipt ?? "");
  $("#issue").hidden = Boolean(view.receipt) || !view.engaged_by || view.outcome === "not_located";
}

async function act(path, body) {
  if (busy || !shown) return;
  busy = true;
  const token = shown;
  const answer = await post(`/api/alerts/${token}/${path}`, body);
  busy = false;
  const view = answer.ok ? answer.body : answer.body.winner;
  if (view && (referrals.get(token)?.version ?? 0) <= view.version) referrals.set(token, view);
  $("#problem").hidden = answer.ok;
  put($("#problem"), answer.ok ? "" : say("failed", { message: answer.body.message }), answer.body.language ?? "");
  banner(answer.ok ? "" : say("failed", { message: answer.body.message }));
  put($("#announce"), answer.ok ? say("recorded") : "");
  show(token);
  settle();
}

$("#take").onclick = () => act("engagement", { version: referrals.get(shown).version });
$("#issue").onclick = () => act("receipt", {});
$("#lost").onclick = () => act("outcome",
  { outcome: "not_located", identity: "not_established", version: referrals.get(shown).version });
$("#close").onsubmit = (event) => {
  event.preventDefault();
  const chosen = new FormData($("#close"));
  act("outcome", { outcome: chosen.get("outcome"), identity: chosen.get("identity"), version: referrals.get(shown).version });
};
// Nobody located, nobody identified: the one follows from the other.
$("#close").onchange = (event) => {
  if (event.target.value === "not_located") $('[value="not_established"]', $("#close")).checked = true;
};
