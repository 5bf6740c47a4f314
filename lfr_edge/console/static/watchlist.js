// Find an entry; withdraw it with a reason.

import { $, $$, askWhy, post, put } from "./dom.js";

const texts = $("#withdraw-texts").dataset;

for (const button of $$("[data-withdraw]")) {
  button.onclick = () => {
    const reference = button.dataset.withdraw;
    askWhy(texts.title.replace("{reference}", reference), texts.text, async (why) => {
      const answer = await post(`/api/watchlist/${encodeURIComponent(reference)}/withdraw`, { why });
      if (answer.ok) {
        const row = button.closest("tr");
        row.classList.add("gone");
        put($(".state", row), texts.withdrawn);
        button.remove();
      }
      return answer;
    });
  };
}

$("#filter")?.addEventListener("input", (event) => {
  const wanted = event.target.value.trim().toLowerCase();
  for (const row of $$("#entries tr")) row.hidden = !row.textContent.toLowerCase().includes(wanted);
});
