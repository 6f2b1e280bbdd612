// What scripts add to the pages of django-twilio-verify. Every page works without them. No inline code, no eval: runs under
// "script-src 'self'". Words to show come from data attributes, so they are in the reader's language.

const language = document.documentElement.lang || undefined;

// Clock times in the reader's own zone.
for (const time of document.querySelectorAll("time[data-tv-clock]")) {
  const moment = new Date(time.dateTime);
  const format = { hour: "numeric", minute: "2-digit" };
  if (time.dataset.tvClock === "second") format.second = "2-digit";
  if (moment.toDateString() !== new Date().toDateString()) Object.assign(format, { month: "long", day: "numeric" });
  if (!Number.isNaN(moment.valueOf())) time.textContent = moment.toLocaleString(language, format);
}

// A form is sent once: the second click of a double click is swallowed. The server sends only once in any case.
const PATIENCE = 15000; // ms until another try is let through, should the network have swallowed the first

function sentOnce(form) {
  // The forms of one check ask for one thing: a second one sent would take the place of the first one's answer.
  const group = form.closest("[data-tv-status]") ?? form;
  const buttons = form.querySelectorAll("button");
  const release = () => {
    delete group.dataset.tvSent;
    for (const button of buttons) button.removeAttribute("aria-disabled");
  };
  form.addEventListener("submit", (event) => {
    if (group.dataset.tvSent) {
      event.preventDefault();
      return;
    }
    group.dataset.tvSent = "yes";
    // Not "disabled": that would drop the focus and, in some browsers, the button from what is posted.
    for (const button of buttons) button.setAttribute("aria-disabled", "true");
    setTimeout(release, PATIENCE);
  });
  // The browser's "back" may bring the page back as it was left.
  window.addEventListener("pageshow", release);
}

document.querySelectorAll("form[data-tv-once]").forEach(sentOnce);

// The wait until another code may be asked for: counted down for the eye, told once to the ear.
function countDown(hint) {
  const { tvWait, tvWaitText, tvReadyText } = hint.dataset;
  // Seconds as the server counted them: the reader's clock may be wrong.
  const end = performance.now() + Number(tvWait) * 1000;
  const told = hint.parentElement.querySelector("[data-tv-announce]");
  const tick = () => {
    const left = Math.ceil((end - performance.now()) / 1000);
    if (left > 0) {
      hint.textContent = tvWaitText.replace("{seconds}", left.toLocaleString(language));
      return;
    }
    clearInterval(timer);
    hint.textContent = tvReadyText;
    hint.setAttribute("aria-hidden", "true"); // or the same words would be found twice
    if (told) told.textContent = tvReadyText;
  };
  const timer = setInterval(tick, 1000);
  tick();
}

document.querySelectorAll("[data-tv-wait]").forEach(countDown);

// WebOTP: phones offer to fill in the code of a text message. Filled, never sent: the reader presses the button.
const input = document.querySelector('input[autocomplete="one-time-code"]');

if (input && "OTPCredential" in window) {
  const listening = new AbortController();
  input.form.addEventListener("submit", () => listening.abort());
  navigator.credentials
    .get({ otp: { transport: ["sms"] }, signal: listening.signal })
    .then((message) => {
      if (message && !input.value) input.value = message.code;
    })
    .catch(() => {}); // refused, aborted or not supported here: the code can be typed
}

// The check without a code, on the phone itself: whoever comes back from the carrier's page need not press anything.
function goOnAfter(opener) {
  const form = document.getElementById(opener.dataset.tvOpen);
  let pressed = false;
  let away = false;
  opener.addEventListener("click", () => {
    pressed = true;
    away = false;
  });
  const leave = () => {
    away = true;
  };
  const back = () => {
    if (!pressed || !away) return;
    pressed = false; // once for each press: the provider is not asked again and again
    form.requestSubmit(form.querySelector("button"));
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? leave() : back()));
  window.addEventListener("blur", leave);
  window.addEventListener("focus", back);
}

document.querySelectorAll("[data-tv-open]").forEach(goOnAfter);

// The same at a computer: ask our own server, less and less often, whether the phone is done.
const FIRST_PAUSE = 2000; // ms
const LONGEST_PAUSE = 10000;

function waitForPhone(part) {
  const { tvStatus, tvExpires } = part.dataset;
  const form = part.querySelector("[data-tv-approved]");
  const told = part.querySelector("[data-tv-waiting]");
  const end = performance.now() + Number(tvExpires) * 1000;
  const tell = (text) => {
    told.hidden = false;
    told.textContent = text;
  };
  const goOn = ({ status, next }) => {
    if (status === "approved") form.requestSubmit();
    else location.assign(next);
  };
  const ask = async (pause) => {
    if (part.dataset.tvSent) return; // the person was faster
    if (performance.now() > end) return tell(told.dataset.tvStopped);
    try {
      const answer = await fetch(tvStatus, { headers: { Accept: "application/json" }, cache: "no-store" });
      if (answer.status === 404) return tell(told.dataset.tvStopped); // no longer ours: signed out elsewhere
      if (answer.ok) {
        const state = await answer.json();
        if (part.dataset.tvSent) return;
        if (state.next) return goOn(state);
      }
    } catch {
      // offline for a moment: asked again below
    }
    setTimeout(ask, pause, Math.min(pause * 1.25, LONGEST_PAUSE));
  };
  tell(told.dataset.tvWaiting);
  setTimeout(ask, FIRST_PAUSE, FIRST_PAUSE);
}

document.querySelectorAll("[data-tv-status]").forEach(waitForPhone);

// Which of the two is unfolded, where the browser has not told the server.
const hereNow = matchMedia("(hover: none) and (pointer: coarse)").matches ? "phone" : "computer";
const pages = document.querySelectorAll("[data-tv-here]");
if (pages.length && !document.querySelector(".tv-problem")) {
  for (const part of pages) part.open = part.dataset.tvHere === hereNow;
}

// Recovery codes, and the key for an authenticator app (as it is, without the spaces for the eye), to the clipboard.
const linesOf = (codes) =>
  Array.from(codes.querySelectorAll("code"), (code) => code.dataset.tvText ?? code.textContent);

for (const corner of document.querySelectorAll("[data-tv-copy]")) {
  const codes = document.getElementById(corner.dataset.tvCopy);
  const told = corner.querySelector("[role=status]");
  if (!codes || !navigator.clipboard) continue;
  corner.hidden = false;
  corner.querySelector("button").addEventListener("click", async () => {
    const lines = linesOf(codes);
    try {
      await navigator.clipboard.writeText(lines.join("\n"));
      told.textContent = told.dataset.tvDoneText;
    } catch {
      told.textContent = told.dataset.tvFailedText;
    }
  });
}

// Recovery codes to a file and to the printer, made here of what the page shows: the server cannot show them again.
for (const corner of document.querySelectorAll("[data-tv-keep]")) {
  const codes = document.getElementById(corner.dataset.tvKeep);
  if (!codes) continue;
  corner.hidden = false;
  corner.querySelector("[data-tv-print]").addEventListener("click", () => window.print());
  corner.querySelector("[data-tv-download]").addEventListener("click", () => {
    const text = [corner.dataset.tvHeading, "", ...linesOf(codes), ""].join("\r\n");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
    link.download = corner.dataset.tvFile;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000); // not at once: some browsers begin later
  });
}
