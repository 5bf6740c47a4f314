// Small pieces that every page uses: texts, elements, requests, the reason dialog. No HTML is ever parsed from data.

export const $ = (selector, root = document) => root.querySelector(selector);
export const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

const texts = JSON.parse($("#texts").textContent);

/** The text of `key`, its {braces} filled in. Unknown keys show as themselves, so that a gap is seen in tests. */
export function say(key, values = {}) {
  const text = key.split(".").reduce((node, part) => node?.[part], texts) ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

/** An element with properties and children; children that are strings become text. */
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in node) node[name] = value;
    else node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export const grouped = (number) => String(number).replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");

/** Says in which language a text is, where it is not the page's: what has no translation stays English. */
export function marked(node, language) {
  if (language) node.lang = language;
  else node.removeAttribute("lang");
  return node;
}

/** What stands in the record or in a signed paper stays in the one language in which it was written: English. */
export const recorded = (node) => marked(node, document.documentElement.lang === "en" ? "" : "en");

/** Sets text only where it differs: a screen reader is not told what did not change. `language`: where it may differ. */
export function put(node, text, language = null) {
  if (node && node.textContent !== text) node.textContent = text;
  if (node && language !== null) marked(node, language);
}

/** POST JSON; resolves to {ok, status, body}. A lost sign-in leads to the sign-in page. */
export async function post(path, body) {
  try {
    const response = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(body),
    });
    if (response.status === 401) location.assign("/sign-in");
    return { ok: response.ok, status: response.status, body: await response.json() };
  } catch {
    return { ok: false, status: 0, body: { message: say("lost"), hint: "" } };
  }
}

/** Asks for a reason in the page's dialog; `act(why)` resolves to {ok, body}. `language`: of the text, where it is another. */
export function askWhy(title, text, act, language = "") {
  const dialog = $("#why");
  const why = $("#why-why");
  const problem = $(".problem", dialog);
  put($("#why-title"), title);
  put($("#why-text"), text, language);
  why.value = "";
  problem.hidden = true;
  $("[data-cancel]", dialog).onclick = () => dialog.close();
  $("form", dialog).onsubmit = async (event) => {
    event.preventDefault();
    const answer = await act(why.value.trim());
    if (answer.ok) return dialog.close();
    put(problem, say("error", { message: answer.body.message }), answer.body.language ?? "");
    problem.hidden = false;
  };
  dialog.showModal();
}
