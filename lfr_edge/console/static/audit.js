// "Verify now": the server reads the whole log again and says what it found.

import { $, grouped, post, put, say } from "./dom.js";

$("#verify").onclick = async () => {
  put($("#verdict"), say("verifying"));
  const { ok, body } = await post("/api/audit/verify", {});
  if (!ok) return put($("#verdict"), say("error", { message: body.message }));
  $("#verdict-card").dataset.verdict = body.verdict;
  put($("#verdict"), say(`verdict.${body.verdict}`));
  put($("#entries"), grouped(body.entries));
  put($("#signed"), grouped(body.signed_size));
  put($("#anchors"), String(body.anchors));
  put($("#root"), body.root);
  if (body.checked) put($("#checked"), `${body.checked.slice(0, 19).replace("T", " ")} UTC`);
  $("#words").hidden = body.lines.length === 0;
  put($("#lines"), body.lines.join("\n"));
};
