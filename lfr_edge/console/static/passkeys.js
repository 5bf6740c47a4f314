// My account: add and remove passkeys. The sign-in page: use one.

import { $, $$, post, put, say } from "./dom.js";
import { askDevice, byPasskey, freshly } from "./fresh.js";

function complain(answer) {
  put($("#problem"), say("error", { message: answer.body.message }), answer.body.language ?? "");
  $("#problem").hidden = false;
}

async function add(name) {
  if (!(await freshly())) return;
  const options = await post("/api/passkeys/options", {});
  if (!options.ok) return complain(options);
  const credential = await askDevice("create", options.body);
  if (credential === null) return complain({ body: { message: say("passkey_dropped") } });
  const answer = await post("/api/passkeys", { credential, name });
  if (!answer.ok) return complain(answer);
  location.reload();
}

$("#add")?.addEventListener("submit", (event) => {
  event.preventDefault();
  add($("#passkey-name").value.trim());
});

for (const button of $$("[data-remove]")) {
  button.onclick = async () => {
    const answer = await post(`/api/passkeys/${encodeURIComponent(button.dataset.remove)}/remove`, {});
    if (answer.ok) location.reload();
    else complain(answer);
  };
}

$("#by-passkey")?.addEventListener("click", async () => {
  const answer = await byPasskey("/api/sign-in/passkey", { next: $("[name='next']").value });
  if (answer.ok) location.assign(answer.body.next);
  else complain(answer);
});
