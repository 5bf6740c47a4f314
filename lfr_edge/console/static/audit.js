// "Verify now": the server reads the whole record again and says how far it has come, and what it found.

import { $, el, grouped, marked, post, put, say } from "./dom.js";

const card = $("#verdict-card");
const POLL_MS = 400;

async function watch() {
  const answer = await fetch(`/api/audit/verify?deployment=${encodeURIComponent(card.dataset.deployment)}`);
  if (!answer.ok) return;
  const { done, of } = await answer.json();
  if (!of) return;
  $("#bar").max = of;
  $("#bar").value = done;
  put($("#progress-text"), `${grouped(done)} / ${grouped(of)}`);
}

$("#verify").onclick = async () => {
  $("#verify").disabled = true;
  put($("#verdict"), say("verifying"));
  $("#progress").hidden = false;
  const watching = setInterval(watch, POLL_MS);
  const { ok, body } = await post("/api/audit/verify", { deployment: card.dataset.deployment });
  clearInterval(watching);
  $("#progress").hidden = true;
  $("#verify").disabled = false;
  if (!ok) return put($("#verdict"), say("error", { message: body.message }), body.language ?? "");
  card.dataset.verdict = body.verdict;
  put($("#verdict"), say(`verdict.${body.verdict}`));
  if (body.checked) put($("#checked"), `${body.checked.slice(0, 19).replace("T", " ")} UTC`);
  $("#words").hidden = body.lines.length === 0;
  $("#told").replaceChildren(...body.found.map((one) => marked(
    el("li", {}, one.seq === null ? one.text : `${one.text} (${say("entry", { number: one.seq })})`), one.language)));
  $("#told").hidden = body.found.length === 0;
  put($("#lines"), body.lines.join("\n"));
};

$("#export")?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const alerts = $("#export-alerts").value.split(/[ ,]+/).filter(Boolean).map(Number);
  const { ok, body } = await post("/api/audit/exports", { alerts, why: $("#export-why").value.trim() });
  put($("#export-said"), ok ? say("export_asked") : say("error", { message: body.message }), body.language ?? "");
});
