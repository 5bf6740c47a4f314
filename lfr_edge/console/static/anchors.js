// The signed sheet is confirmed with the end of its code, typed from the paper.

import { $, $$, post, put, say } from "./dom.js";

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

// A sheet given out changes what this page may ask for: come back to see it.
for (const form of $$("form[action$='/sheet']")) {
  form.addEventListener("submit", () => setTimeout(() => location.reload(), 1500));
}
