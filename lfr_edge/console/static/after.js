// What is shown beside an alert, and what only after the look.

import { el, say } from "./dom.js";

const OUTCOMES = ["arrest", "other_disposal", "no_action", "not_located"];

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
    [say("source"), view.candidate_source],
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

/** After the look: the machine's figures, the looks, and what comes next. */
export function afterLook(node, view, act) {
  const after = view.after;
  const key = JSON.stringify([after, view.version, act.waiting]);
  if (node.dataset.key === key) return;
  node.dataset.key = key;
  const title = view.open ? say("waiting_second") : say(`state.${after.state}`);
  const margin = after.runner_up ? four(after.score - after.runner_up.score) : "–";
  node.replaceChildren(
    el("div", { className: "result" }, el("p", { className: "big" }, title), ...following(view, act)),
    el("dl", { className: "figures" }, ...pairs([
      [`${say("score")} (${say("cosine")})`, four(after.score)],
      [say("threshold"), four(after.threshold)],
      [say("over"), `+${four(after.score - after.threshold)}`],
      [say("margin"), margin],
      [say("reference"), after.reference],
    ])),
    ...street(view, act),
    el("h3", {}, say("looks")),
    el("ul", { className: "plainlist" }, ...after.looks.map(look)),
    ...others(after),
    ...quality(after),
  );
}

function following(view, act) {
  if (!act.waiting) return [];
  const button = el("button", { type: "button", className: "main" }, `${say("next")} `, el("kbd", {}, "N"));
  button.onclick = act.next;
  return [button];
}

function street(view, act) {
  if (view.after.outcome) return [el("p", {}, say("outcome_done", { outcome: say(`outcome.${view.after.outcome}`) }))];
  if (view.after.state !== "referred") return [];
  const buttons = OUTCOMES.map((kind) => {
    const button = el("button", { type: "button", className: "plain" }, say(`outcome.${kind}`));
    button.dataset.outcome = kind;
    button.onclick = () => act.outcome(view, kind);
    return button;
  });
  return [el("h3", { id: "outcome-title" }, say("outcome_title")),
    el("div", { className: "row", role: "group", "aria-labelledby": "outcome-title" }, ...buttons)];
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

function quality(after) {
  const named = Object.entries(after.quality);
  if (!named.length) return [];
  const label = (name) => (say(`quality.${name}`) === `quality.${name}` ? name.replaceAll("_", " ") : say(`quality.${name}`));
  return [el("h3", {}, say("quality_title")),
    el("dl", { className: "facts" }, ...pairs(named.map(([name, value]) => [label(name), String(Math.round(value * 100) / 100)])))];
}
