// Asks a person to prove again who they are, before an act that must not rest on a session somebody left open.

import { $, el, post, put, say } from "./dom.js";

const MARGIN_S = 10; // the act itself still has to arrive within the 60 seconds

const bytes = (text) => Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

/** What the browser made, as JSON; null when the person turned away. */
export async function askDevice(kind, options) {
  const challenge = bytes(options.challenge);
  try {
    const credential = kind === "create"
      ? await navigator.credentials.create({ publicKey: { ...options, challenge, user: { ...options.user, id: bytes(options.user.id) },
        excludeCredentials: options.excludeCredentials.map((one) => ({ ...one, id: bytes(one.id) })) } })
      : await navigator.credentials.get({ publicKey: { ...options, challenge,
        allowCredentials: (options.allowCredentials ?? []).map((one) => ({ ...one, id: bytes(one.id) })) } });
    const { response } = credential;
    const said = { clientDataJSON: text(response.clientDataJSON) };
    for (const name of ["attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (response[name]) said[name] = text(response[name]);
    }
    return { id: credential.id, rawId: text(credential.rawId), type: credential.type, response: said };
  } catch {
    return null;
  }
}

/** Proves by passkey, under the given pair of routes. */
export async function byPasskey(path, more = {}) {
  const options = await post(`${path}/options`, {});
  if (!options.ok) return options;
  const credential = await askDevice("get", options.body);
  return credential === null
    ? { ok: false, status: 0, body: { message: say("passkey_dropped") } }
    : post(path, { credential, ...more });
}

function dialogOf(withPasskey) {
  const password = el("input", { id: "fresh-password", type: "password", required: true, maxLength: 256, autocomplete: "current-password" });
  const problem = el("p", { className: "problem", role: "alert", hidden: true });
  const passkey = el("button", { type: "button", hidden: !withPasskey }, say("fresh_passkey"));
  const cancel = el("button", { type: "button" }, say("fresh_cancel"));
  const form = el("form", { method: "dialog" }, el("h2", { id: "fresh-title" }, say("fresh_title")), el("p", { className: "quiet" }, say("fresh_text")),
    el("label", { htmlFor: "fresh-password" }, say("fresh_password")), password, problem,
    el("div", { className: "row" }, el("button", { type: "submit", className: "main" }, say("fresh_confirm")), passkey, cancel));
  const dialog = el("dialog", {}, form);
  dialog.setAttribute("aria-labelledby", "fresh-title");
  return { dialog, form, password, problem, passkey, cancel };
}

/** Resolves to true once the last proof is young enough for an approval; to false when the person turned away. */
export async function freshly() {
  const me = await (await fetch("/api/me")).json();
  if (me.error) return location.assign("/sign-in");
  if (me.fresh_s > MARGIN_S) return true;
  const parts = dialogOf(me.passkeys > 0 && "credentials" in navigator);
  document.body.append(parts.dialog);
  const proved = await new Promise((resolve) => {
    const judge = (answer) => {
      if (answer.ok) return resolve(true);
      put(parts.problem, say("error", { message: answer.body.message }), answer.body.language ?? "");
      parts.problem.hidden = false;
      parts.password.select();
    };
    parts.form.onsubmit = async (event) => {
      event.preventDefault();
      judge(await post("/api/authenticate", { password: parts.password.value }));
    };
    parts.passkey.onclick = async () => judge(await byPasskey("/api/authenticate/passkey"));
    parts.cancel.onclick = () => resolve(false);
    parts.dialog.oncancel = () => resolve(false);
    parts.dialog.showModal();
  });
  parts.dialog.remove();
  return proved;
}
