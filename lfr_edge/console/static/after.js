// What is shown beside an alert, and what only after the look.

import { el, marked, say } from "./dom.js";
import { drawMap } from "./explanation.js";

const OUTCOMES = ["arrest", "other_disposal", "no_action", "not_located"];
const IDENTITIES = ["same_person", "different_person", "not_established"];

function pairs(list) {
  return list.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)));
}

/** Before the look: what helps to judge, and no name and no score. */
export function facts(node, view) {
  const list = [
    [say("category"), view.category],
    [say("response_label"), say(`response.${view.response}`)],
    [say("camera"), view.camera],
    [say("captured"), `${view.captured.slice(11, 19)} UTC`],
    [say("age"), age(view.candidate_taken)],
    [say("source"), view.source_title],
  ];
  if (view.look_alikes) list.push([say("look_alikes"), say("look_alikes_count", { count: view.look_alikes })]);
  node.replaceChildren(...pairs(list));
}

function age(taken) {
  if (!taken) return say("unknown_age");
  const months = Math.max(0, Math.floor((Date.now() - Date.parse(taken)) / (30.44 * 86400000)));
  return months < 24 ? say("months", { months }) : say("years", { years: Math.floor(months / 12) });
}

const four = (number) => number.toFixed(4);

/** After the look: what comes next; and with the decision the machine's figures, the looks, the street. */
export function afterLook(node, view, act) {
  const after = view.after;
  const key = JSON.stringify([after, view.version, act.waiting]);
  if (node.dataset.key === key) return;
  node.dataset.key = key;
  const title = view.open ? say("waiting_second") : say(`state.${after.state}`);
  node.replaceChildren(
    el("div", { className: "result" }, el("p", { className: "big" }, title), ...following(view, act)),
    ...(after.drill ? revealed(after.drill) : []),
    ...("score" in after ? figures(after) : []),
    ...street(view, act),
    el("h3", {}, say("looks")),
    el("ul", { className: "plainlist" }, ...after.looks.map(look)),
    ...("score" in after ? [...others(after), ...quality("quality_title", after.quality),
      ...quality("candidate_quality_title", after.candidate_quality), ...explanation(view)] : []),
  );
}

function revealed(drill) {
  const truth = say(`answer.${drill.truth}`);
  return [
    el("p", { className: "banner", "data-health": drill.right ? "ok" : "degraded" },
      el("strong", {}, say("drill")), ` ${say(drill.right ? "drill_right" : "drill_wrong", { truth })}`),
    el("p", { className: "quiet" }, say("drill_text")),
  ];
}

function figures(after) {
  const margin = after.runner_up ? four(after.score - after.runner_up.score) : "–";
  return [el("dl", { className: "figures" }, ...pairs([
    [`${say("score")} (${say("cosine")})`, four(after.score)],
    [say("threshold"), four(after.threshold)],
    [say("over"), `+${four(after.score - after.threshold)}`],
    [say("margin"), margin],
    [say("reference"), after.reference],
  ]))];
}

function following(view, act) {
  if (!act.waiting) return [];
  const button = el("button", { type: "button", className: "main" }, `${say("next")} `, el("kbd", {}, "N"));
  button.onclick = act.next;
  return [button];
}

/** What the street does, and what an officer says by radio. */
function street(view, act) {
  const { after } = view;
  const told = [];
  if (after.engaged_by) told.push(say("engaged_by", { account: after.engaged_by }));
  if (after.outcome) told.push(say("outcome_done", { outcome: say(`outcome.${after.outcome}`) }), say(`identity.${after.identity}`));
  if (after.receipt) told.push(say("receipt", { code: after.receipt }));
  const nodes = told.length ? [el("p", {}, told.join(" · "))] : [];
  if (after.state === "referred") {
    const take = el("button", { type: "button", className: "plain", id: "take" }, say("take_by_radio"));
    const lost = el("button", { type: "button", className: "plain", id: "lost" }, say("outcome.not_located"));
    take.onclick = () => act.street(view, "engagement", {});
    lost.onclick = () => act.street(view, "outcome", { outcome: "not_located", identity: "not_established" });
    nodes.push(el("div", { className: "row" }, take, lost));
  } else if (after.state === "engaged") nodes.push(closing(view, act));
  return nodes.length ? [el("h3", { id: "outcome-title" }, say("outcome_title")), ...nodes] : [];
}

function closing(view, act) {
  const choice = (id, label, words, prefix) => {
    const select = el("select", { id, name: id, required: true }, el("option", { value: "" }, "–"),
      ...words.map((word) => el("option", { value: word }, say(`${prefix}.${word}`))));
    return el("div", {}, el("label", { htmlFor: id }, label), select);
  };
  const form = el("form", { className: "fields", id: "closing" },
    choice("identity", say("identity_ask"), IDENTITIES, "identity"),
    choice("outcome", say("outcome_title"), OUTCOMES, "outcome"),
    el("button", { type: "submit", className: "main" }, say("record_outcome")));
  form.onsubmit = (event) => {
    event.preventDefault();
    act.street(view, "outcome", Object.fromEntries(new FormData(form)));
  };
  return form;
}

function look(one) {
  const reasons = Object.values(one.factors).flat().map((factor) => say(`factor.${factor}`)).join(", ");
  const took = say("took", { seconds: (one.took_ms / 1000).toFixed(1) });
  return el("li", {}, el("strong", {}, one.account), ` ${say(`answer.${one.answer}`)} `,
    el("span", { className: "quiet" }, `${took} · ${reasons}${one.note ? ` · ${one.note}` : ""}`));
}

function others(after) {
  const list = [];
  if (after.runner_up) list.push(`${say("runner_up")} ${after.runner_up.reference ?? "–"}: ${four(after.runner_up.score)}`);
  for (const entry of after.look_alikes.filter((one) => one.reference !== after.runner_up?.reference)) list.push(`${entry.reference}: ${four(entry.score)}`);
  if (!list.length) return [];
  return [el("h3", {}, say("look_alikes")), el("ul", { className: "plainlist" }, ...list.map((text) => el("li", {}, text)))];
}

function quality(title, measured) {
  const named = Object.entries(measured);
  if (!named.length) return [];
  const label = (name) => (say(`quality.${name}`) === `quality.${name}` ? name.replaceAll("_", " ") : say(`quality.${name}`));
  return [el("h3", {}, say(title)),
    el("dl", { className: "facts" }, ...pairs(named.map(([name, value]) => [label(name), String(Math.round(value * 100) / 100)])))];
}

/** Asked for, never shown by itself: it costs the recogniser time, and it invites to trust the machine. */
function explanation(view) {
  if (!view.pictures) return [];
  const box = el("div", { className: "explanation" });
  const button = el("button", { type: "button", className: "plain", id: "explain" }, say("explain"));
  button.onclick = async () => {
    button.setAttribute("aria-disabled", "true");
    box.replaceChildren(el("p", { role: "status" }, say("explain_busy")));
    try {
      const response = await fetch(`/api/alerts/${view.token}/explanation`);
      const body = await response.json();
      if (response.ok) {
        button.hidden = true;
        drawMap(box, body, `/alerts/${view.token}/probe.jpg`);
      } else box.replaceChildren(marked(el("p", { role: "status" }, say("explain_failed", { message: body.message })), body.language));
    } catch {
      box.replaceChildren(el("p", { role: "status" }, say("lost")));
    }
    button.removeAttribute("aria-disabled");
  };
  return [el("h3", {}, say("explain_title")), button, box];
}
