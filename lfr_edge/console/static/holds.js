// Ask for a hold, approve one as the second person, refuse, release.

import { $, $$, askWhy, post, put, say } from "./dom.js";
import { freshly } from "./fresh.js";

function tell(text, language = "") {
  const told = $("#told");
  put(told, text, language);
  told.dataset.health = "failed";
  told.hidden = false;
  told.scrollIntoView({ block: "nearest" });
}

const done = ({ ok, body }) => (ok ? location.reload() : tell(say("error", { message: `${body.message}. ${body.hint}` }), body.language));

/** A dialog's act: the page is read anew where it took effect. */
async function act(path, body) {
  const answer = await post(path, body);
  if (answer.ok) location.reload();
  return answer;
}

for (const button of $$("[data-approve]")) {
  button.onclick = async () => {
    if (await freshly()) done(await post(`/api/holds/${button.dataset.approve}/approve`, { sha256: button.dataset.sha256 }));
  };
}
for (const button of $$("[data-refuse]")) {
  button.onclick = () => askWhy(button.textContent, "", (why) => act(`/api/holds/${button.dataset.refuse}/refuse`, { why }));
}
for (const button of $$("[data-release]")) {
  const { deployment, number, release } = button.dataset;
  button.onclick = () => askWhy(say("holds.release", { deployment, number }), say("holds.release_text"),
    (why) => act(`/api/holds/${deployment}/${release}/release`, { why }));
}

const dialog = $("#ask");
for (const button of $$("[data-hold]")) {
  const { deployment, number, hold } = button.dataset;
  button.onclick = () => {
    const form = $("form", dialog);
    const problem = $(".problem", dialog);
    form.reset();
    problem.hidden = true;
    put($("#ask-title"), say("holds.ask", { deployment, number }));
    $("[data-cancel]", dialog).onclick = () => dialog.close();
    form.onsubmit = async (event) => {
      event.preventDefault();
      const { ground, reason, days } = form.elements;
      const asked = { deployment, alert: hold, ground: ground.value, reason: reason.value.trim(), days: Number(days.value) };
      const answer = await act("/api/holds", asked);
      if (answer.ok) return;
      put(problem, say("error", { message: answer.body.message }), answer.body.language ?? "");
      problem.hidden = false;
    };
    dialog.showModal();
  };
}
