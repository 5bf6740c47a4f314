// The System page refreshes its figures every two seconds while it is looked at.

import { $, $$, grouped, put, say } from "./dom.js";

const CELLS = {
  fps: (camera) => camera.fps.toFixed(1),
  looks_per_s: (camera) => (camera.looks_per_s === null ? "–" : camera.looks_per_s.toFixed(1)),
  frame_age_ms: (camera) => (camera.frame_age_ms === null ? "–" : `${camera.frame_age_ms} ms`),
  faces_per_min: (camera) => camera.faces_per_min.toFixed(0),
  median_eye_px: (camera) => (camera.median_eye_px === null ? "–" : `${camera.median_eye_px.toFixed(0)} px`),
  sharpness: (camera) => (camera.sharpness === null ? "–" : camera.sharpness.toFixed(2)),
  light: (camera) => (camera.light === null ? "–" : camera.light.toFixed(2)),
  blind_s: (camera) => `${camera.blind_s} s`,
  drops: (camera) => grouped(camera.drops),
  drift: (camera) => {
    const moved = Object.values(camera.drift);
    return moved.length ? Math.max(...moved).toFixed(2) : "–";
  },
};

function draw(state) {
  for (const node of $$("[data-counter]")) put(node, grouped(state.counters[node.dataset.counter]));
  for (const node of $$("[data-desk]")) put(node, grouped(state.desk[node.dataset.desk]));
  for (const node of $$("[data-ledger]")) put(node, grouped(state.ledger[node.dataset.ledger]));
  for (const node of $$("[data-latency]")) {
    const value = state.latency[node.dataset.latency];
    put(node, value === null ? "–" : `${value.toFixed(0)} ms`);
  }
  put($("#lag"), `${state.loop_lag_ms.toFixed(1)} ms`);
  if (state.energy.watts !== null) put($("#power"), `${state.energy.watts.toFixed(0)} W`);
  const { processed, erased, retained } = state.ledger;
  const exact = processed === erased + retained;
  $("#ledger-exact").hidden = !exact;
  $("#ledger-inexact").hidden = exact;
  for (const camera of state.cameras) {
    const row = $(`tr[data-camera="${CSS.escape(camera.id)}"]`);
    if (!row) continue;
    const cell = $("[data-cell='state']", row);
    cell.dataset.state = camera.state;
    put(cell, [say(`camera_state.${camera.state}`), camera.note].filter(Boolean).join(" · "), camera.language ?? "");
    for (const [name, text] of Object.entries(CELLS)) put($(`[data-cell='${name}']`, row), text(camera));
  }
}

async function refresh() {
  if (document.hidden) return;
  try {
    const answer = await fetch("/api/status");
    if (answer.status === 401) return location.assign("/sign-in?next=/system");
    if (answer.ok) draw(await answer.json());
  } catch {
    // the next refresh tries again; the figures on the page stay the last known
  }
}

draw(JSON.parse($("#status").textContent));
setInterval(refresh, 2000);
