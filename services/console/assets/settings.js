// mOS Settings and Field Mapping: rows of the filter without leaving the page, a word before unsaved
// changes are left behind, and files to import. All of it works without this, by sending the form.
"use strict";
(function () {
  document.documentElement.classList.add("with-script");

  const state = (form) => new URLSearchParams(new FormData(form)).toString();

  // What fits the chosen fields is asked of the server, and put in the place of what was there. One
  // question at a time: each is of the form as the answer before has left it.
  let turn = Promise.resolve();
  let waiting = 0;
  function renew(form, submitter) {
    // It names a row by its number, which may be that of another row after the answer.
    if (waiting && submitter.startsWith("remove")) return;
    waiting += 1;
    turn = turn.then(() => ask(form, submitter)).finally(() => { waiting -= 1; });
  }

  async function ask(form, submitter) {
    form.dataset.unsaved = "";
    let fresh;
    for (let sent; sent !== state(form);) {
      // Again, if somebody has written meanwhile: an answer without that would take it away.
      sent = state(form);
      fresh = await answered(form, sent, submitter);
      if (!fresh) {
        sendWhole(form, submitter);
        return;
      }
    }
    const held = document.activeElement;
    const selection = held && held.type === "text" ? [held.selectionStart, held.selectionEnd] : null;
    form.querySelector("[data-replace]").replaceWith(fresh);
    const rows = fresh.querySelectorAll("select[id^='field.']");
    const next = submitter === "add" ? rows[rows.length - 1] : held && document.getElementById(held.id);
    if (!next || next === document.activeElement) return;
    next.focus();
    if (selection && next.id === held.id && next.type === "text") next.setSelectionRange(...selection);
  }

  // The part anew; nothing when it cannot be had.
  async function answered(form, sent, submitter) {
    const body = new URLSearchParams(sent);
    body.append("do", submitter);
    try {
      const answer = await fetch(form.action, { method: "POST", body, credentials: "same-origin" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      return answer.ok ? page.getElementById(form.querySelector("[data-replace]").id) : null;
    } catch {
      return null;
    }
  }

  // As without a script.
  function sendWhole(form, submitter) {
    const button = document.createElement("button");
    button.name = "do";
    button.value = submitter;
    button.formNoValidate = true;
    button.hidden = true;
    form.append(button);
    leaving = true;
    form.requestSubmit(button);
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
