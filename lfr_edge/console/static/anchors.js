// The signed sheet is confirmed with the end of its code, typed from the paper.

import { $, $$, el, post, put, say } from "./dom.js";

for (const form of $$("form.confirm")) {
  form.onsubmit = async (event) => {
    event.preventDefault();
    const code = form.elements.code.value;
    const { ok, body } = await post(`/api/anchors/${form.dataset.deployment}/confirm`, { code });
    const problem = $(".problem", form);
    problem.hidden = ok;
    if (!ok) return put(problem, say("error", { message: `${body.message}. ${body.hint}` }), body.language ?? "");
    location.reload();
  };
}

// A sheet given out changes what this page may ask for: it is asked for anew when the sheet is here, and no sooner, as
// that would break off a sheet that is still on its way.
for (const form of $$("form[action$='/sheet']")) {
  form.onsubmit = async (event) => {
    event.preventDefault();
    try {
      const answer = await fetch(form.action, { method: "POST" });
      if (!answer.ok) return form.submit(); // whose answer says why, on a page
      const [, name] = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition"));
      const link = el("a", { href: URL.createObjectURL(await answer.blob()), download: name });
      link.click();
      setTimeout(() => location.reload(), 500); // the browser takes it over meanwhile
    } catch {
      put($("#told"), say("lost"));
      $("#told").dataset.health = "failed";
      $("#told").hidden = false;
    }
  };
}
