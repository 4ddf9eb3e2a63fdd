// mOS Settings and Field Mapping: rows of the filter without leaving the page, a word before unsaved
// changes are left behind, and files to import. All of it works without this, by sending the form.
"use strict";
(function () {
  const script = document.documentElement.classList;
  script.add("with-script");

  // In milliseconds. What has not changed for so long is what somebody meant.
  const MOMENT = 250;
  // The server is told no more often that somebody writes.
  const OFTEN = 300000;
  const KEPT = "What you wrote is still here.";
  const ENDED = "Your session has ended. What you wrote is still here: send it all the same, then you are asked to sign in, and it is kept meanwhile.";

  const state = (form) => new URLSearchParams(new FormData(form)).toString();

  // What fits the chosen fields is asked of the server, and put in the place of what was there. One
  // question at a time: each is of the form as the answer before has left it.
  let turn = Promise.resolve();
  const waiting = new Set();
  function renew(form, submitter) {
    // What fits is asked until the form stays as it is, so once is enough. And after a row is taken away,
    // the number of the next may be that of another.
    const [kind] = submitter.split(".");
    if (kind !== "add" && waiting.has(kind)) return;
    waiting.add(kind);
    turn = turn.then(() => ask(form, submitter)).finally(() => waiting.delete(kind));
  }

  async function ask(form, submitter) {
    form.dataset.unsaved = "";
    let answer;
    for (let sent; sent !== state(form);) {
      // The keys go through a list, or somebody has written meanwhile: an answer without that would take
      // it away.
      if (sent || submitter === "refresh") await stays(form);
      sent = state(form);
      answer = await answered(form, sent, submitter);
      if (!answer.part) break;
    }
    tell(form, answer.why);
    // Without an answer the button is there that asks for what fits.
    script.toggle("with-script", Boolean(answer.part));
    if (!answer.part) return;
    const held = document.activeElement;
    const selection = held && held.type === "text" ? [held.selectionStart, held.selectionEnd] : null;
    form.querySelector("[data-replace]").replaceWith(answer.part);
    const next = toFocus(answer.part, submitter, held);
    if (!next || next === document.activeElement) return;
    next.focus();
    if (selection && next.id === held.id && next.type === "text") next.setSelectionRange(...selection);
  }

  // Until nothing has changed for a moment.
  async function stays(form) {
    for (let before; before !== state(form);) {
      before = state(form);
      await new Promise((done) => setTimeout(done, MOMENT));
    }
  }

  // To the row that was added, or to the one in the place of that which was taken away; else it stays.
  function toFocus(part, submitter, held) {
    const rows = part.querySelectorAll("select[id^='field.']");
    const [kind, number] = submitter.split(".");
    if (kind === "add") return rows[rows.length - 1];
    if (held && held.id) return document.getElementById(held.id);
    return kind === "remove" ? rows[number - 1] || part.querySelector("button[value=add]") : null;
  }

  // The part anew, or why it cannot be had.
  async function answered(form, sent, submitter) {
    const old = form.querySelector("[data-replace]");
    const body = new URLSearchParams(sent);
    body.append("do", submitter);
    try {
      const answer = await fetch(old.dataset.replace, { method: "POST", body, credentials: "same-origin" });
      if (answer.status === 401) return { why: ENDED };
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      const part = answer.ok && page.getElementById(old.id);
      if (part) return { part };
      const said = page.querySelector(".fault p");
      return { why: `${said ? said.textContent : "The console does not answer as it should."} ${KEPT}` };
    } catch {
      return { why: `The console does not answer. ${KEPT}` };
    }
  }

  // Says why something is not as it should be, and leaves the form alone.
  function tell(form, text) {
    let place = document.getElementById("told");
    if (!place && text) {
      place = document.createElement("div");
      place.id = "told";
      place.className = "notice warning told";
      place.setAttribute("role", "alert");
      form.before(place);
    }
    if (!place) return;
    place.textContent = text || "";
    place.hidden = !text;
  }

  // Whoever writes is there: else the session would end under their hands.
  let seen = Date.now();
  async function visit(form) {
    if (Date.now() - seen < OFTEN) return;
    seen = Date.now();
    try {
      const answer = await fetch("/", { method: "HEAD", redirect: "manual", cache: "no-store" });
      if (answer.status === 401) tell(form, ENDED);
    } catch {
      // Whoever sends the form hears of it.
    }
  }

  let leaving = false;
  for (const form of document.querySelectorAll("form[data-guarded]")) {
    const begun = state(form);
    form.addEventListener("submit", (event) => {
      const button = event.submitter;
      if (button && button.hasAttribute("data-partial")) {
        event.preventDefault();
        renew(form, button.value);
        return;
      }
      leaving = true;
    });
    form.addEventListener("change", (event) => {
      if (event.target.hasAttribute("data-refresh") && form.querySelector("[data-replace]")) {
        renew(form, "refresh");
      }
    });
    form.addEventListener("input", () => visit(form));
    window.addEventListener("beforeunload", (event) => {
      const touched = form.hasAttribute("data-unsaved") || state(form) !== begun;
      if (touched && !leaving) event.preventDefault();
    });
  }
  window.addEventListener("pageshow", () => { leaving = false; });

  for (const file of document.querySelectorAll("input[type=file][data-into]")) {
    file.addEventListener("change", async () => {
      const chosen = file.files[0];
      if (chosen) document.getElementById(file.dataset.into).value = await chosen.text();
    });
  }
})();
