// Add, disable, enable accounts; one-time codes are shown once and kept nowhere in the page.

import { $, $$, post, put, say } from "./dom.js";

function showCode(name, code) {
  const title = $("#code-title");
  put(title, title.dataset.title.replace("{name}", name));
  put($("#code-text"), code);
  $("#code").onclose = () => { put($("#code-text"), ""); location.reload(); };
  $("#code").showModal();
}

function wrong(body) {
  put($("#problem"), say("error", { message: body.message }), body.language ?? "");
  $("#problem").hidden = false;
}

$("#add").onsubmit = async (event) => {
  event.preventDefault();
  const form = new FormData(event.target);
  const name = form.get("name").trim().toLowerCase();
  const { ok, body } = await post("/api/accounts", { name, role: form.get("role") });
  if (ok) showCode(name, body.code);
  else wrong(body);
};

for (const button of $$("[data-change]")) {
  button.onclick = async () => {
    const { name, change } = button.dataset;
    const { ok, body } = await post(`/api/accounts/${encodeURIComponent(name)}/${change}`, {});
    if (!ok) wrong(body);
    else if (body.code) showCode(name, body.code);
    else location.reload();
  };
}
