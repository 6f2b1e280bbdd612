// Passkeys on the pages of django-twilio-verify, and on login pages: a form with data-tv-passkey asks our server for options,
// the browser for a passkey, and is sent with what that answers. No inline code, no eval: runs under "script-src 'self'".
// Words to show come from data attributes, so they are in the reader's language.

const PATIENCE = 30000; // ms until a server that does not answer is given up
const FRESH = 540000; // ms for which options are used: our server keeps them for ten minutes

const supported = Boolean(window.PublicKeyCredential && navigator.credentials);

// What the options and answers of browsers are in JSON, for browsers that cannot say so themselves yet.

const toBytes = (text) =>
  Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));

const toText = (buffer) =>
  btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join(""))
    .replaceAll("+", "-")
    .replaceAll("/", "_")
    .replaceAll("=", "");

const toDescriptors = (list = []) => list.map((one) => ({ ...one, id: toBytes(one.id) }));

function readCreation(options) {
  if (PublicKeyCredential.parseCreationOptionsFromJSON) return PublicKeyCredential.parseCreationOptionsFromJSON(options);
  const { challenge, user, excludeCredentials } = options;
  return {
    ...options,
    challenge: toBytes(challenge),
    user: { ...user, id: toBytes(user.id) },
    excludeCredentials: toDescriptors(excludeCredentials),
  };
}

function readRequest(options) {
  if (PublicKeyCredential.parseRequestOptionsFromJSON) return PublicKeyCredential.parseRequestOptionsFromJSON(options);
  const { challenge, allowCredentials } = options;
  return { ...options, challenge: toBytes(challenge), allowCredentials: toDescriptors(allowCredentials) };
}

function write(credential) {
  try {
    if (credential.toJSON) return credential.toJSON();
  } catch {
    // The credentials of some password managers are not the browser's own: written by hand below.
  }
  const response = {};
  for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"])
    if (credential.response[name]) response[name] = toText(credential.response[name]);
  if (credential.response.getTransports) response.transports = credential.response.getTransports();
  const { id, rawId, type, authenticatorAttachment } = credential;
  return { id, rawId: toText(rawId), type, authenticatorAttachment, response, clientExtensionResults: {} };
}

// A browser can be asked for one passkey at a time: what it is being asked is stopped before it is asked another.

let asking = null;

async function stop() {
  while (asking) {
    const { controller, over } = asking;
    controller.abort();
    await over;
  }
}

async function ask(method, request) {
  await stop();
  const controller = new AbortController();
  const answer = navigator.credentials[method]({ ...request, signal: controller.signal });
  const mine = (asking = { controller, over: answer.then(() => {}, () => {}) });
  try {
    return await answer;
  } finally {
    if (asking === mine) asking = null;
  }
}

// A sentence of our server's, for the reader.
class Problem extends Error {}

// Questions to our server that it has not answered yet. They end where another form is sent, as that of the password: the
// answer to the first one begins a session, and coming after that of a sign-in it would take the place of its session.
const waiting = new Set();

document.addEventListener("submit", ({ target }) => {
  if (!("tvPasskey" in target.dataset)) for (const giveUp of waiting) giveUp.abort();
});

async function fetchOptions(form) {
  const body = new URLSearchParams(new FormData(form));
  const giveUp = new AbortController();
  waiting.add(giveUp);
  const timer = setTimeout(() => giveUp.abort(), PATIENCE);
  try {
    const answer = await fetch(form.dataset.tvOptions, {
      method: "POST",
      body,
      headers: { Accept: "application/json" },
      redirect: "manual",
      cache: "no-store",
      signal: giveUp.signal,
    });
    // Signed out meanwhile, or another proof is wanted first: the page itself knows where that leads.
    if (answer.type === "opaqueredirect") location.replace(location.href);
    const told = await answer.json();
    if (!answer.ok || !told.options) throw new Problem(told.problem ?? "");
    return told;
  } catch (error) {
    throw error instanceof Problem ? error : new Problem("");
  } finally {
    clearTimeout(timer);
    waiting.delete(giveUp);
  }
}

function tell(form, text) {
  const place = form.querySelector("[data-tv-problem]");
  place.textContent = text;
  place.hidden = !text;
}

function sentence(form, error) {
  const said = form.querySelector("[data-tv-problem]").dataset;
  if (error instanceof Problem && error.message) return error.message;
  // Cancelled, or nothing was done for too long: browsers do not tell which.
  if (error.name === "NotAllowedError") return said.tvRefused;
  // This device has a passkey of this account already.
  if (error.name === "InvalidStateError") return said.tvRegistered ?? said.tvRefused;
  // Not the address that the passkeys are for.
  if (error.name === "SecurityError") return said.tvElsewhere ?? said.tvFailed;
  return said.tvFailed;
}

// The field beside which browsers offer passkeys, marked as they want it.
function markedField() {
  const marked = document.querySelector('input[autocomplete~="webauthn"]');
  if (marked) return marked;
  const field = document.querySelector('input[autocomplete~="username"]');
  if (field) field.autocomplete = "username webauthn";
  return field;
}

function serve(form) {
  const { credential, verification } = form.elements;
  const buttons = form.querySelectorAll("button");
  const fields = form.querySelectorAll("input:not([type=hidden])");
  const creating = form.dataset.tvPasskey === "create";
  let busy = false;
  let sent = false;
  let kept = null; // options of a sign-in, which serve for several tries

  const setBusy = (on) => {
    busy = on;
    // Not "disabled": that would drop the focus.
    for (const button of buttons)
      on ? button.setAttribute("aria-disabled", "true") : button.removeAttribute("aria-disabled");
    // The provider was told what stands there; and a field that is empty by then would keep the form from being sent.
    for (const field of fields) field.readOnly = on;
  };
  const release = () => {
    sent = false;
    credential.value = "";
    setBusy(false);
  };

  const options = async () => {
    if (creating) return fetchOptions(form);
    if (!kept || kept.until < performance.now()) {
      kept = { until: performance.now() + FRESH, told: fetchOptions(form) };
      kept.told.catch(() => (kept = null));
    }
    return kept.told;
  };

  const obtain = async (more = {}) => {
    const told = await options();
    const publicKey = creating ? readCreation(told.options) : readRequest(told.options);
    const made = await ask(creating ? "create" : "get", { publicKey, ...more });
    if (!made) throw new DOMException("", "NotAllowedError");
    verification.value = told.verification;
    credential.value = JSON.stringify(write(made));
    setBusy(true);
    form.requestSubmit();
  };

  // Passkeys among what the browser offers to fill in for the name: asked for once, and never spoken of if it fails.
  const offer = async () => {
    if (!("tvAutofill" in form.dataset) || !markedField()) return;
    try {
      if (!(await PublicKeyCredential.isConditionalMediationAvailable?.())) return;
      await options();
      if (busy) return;
      const late = setTimeout(stop, kept.until - performance.now());
      await obtain({ mediation: "conditional" }).finally(() => clearTimeout(late));
    } catch {
      // The button is there.
    }
  };

  form.addEventListener("submit", async (event) => {
    if (credential.value && !sent) {
      sent = true;
      setTimeout(release, PATIENCE); // should the network have swallowed it
      return;
    }
    event.preventDefault();
    if (busy) return;
    setBusy(true);
    tell(form, "");
    try {
      await stop();
      await obtain();
    } catch (error) {
      setBusy(false);
      tell(form, sentence(form, error));
      if (kept?.until > performance.now()) offer(); // with the same options
    }
  });
  // The browser's "back" may bring the page back as it was left, and a reload what was in its fields.
  window.addEventListener("pageshow", ({ persisted }) => persisted && release());
  credential.value = "";
  form.hidden = false;
  offer();
}

function explain(form) {
  const place = form.querySelector("[data-tv-problem]");
  tell(form, place.dataset.tvUnsupported);
  for (const part of form.querySelectorAll("button, form > *")) if (!part.contains(place)) part.hidden = true;
}

document.querySelectorAll("form[data-tv-passkey]").forEach(supported ? serve : explain);
