// mOS Settings and Field Mapping: rows of the filter without leaving the page, a word before unsaved
// changes are left behind, and files to import. All of it works without this, by sending the form.
"use strict";
(function () {
  document.documentElement.classList.add("with-script");

  // What fits the chosen fields is asked of the server, and put in the place of what was there.
  async function renew(form, submitter) {
    const sent = new URLSearchParams(new FormData(form));
    sent.append("do", submitter);
    form.dataset.unsaved = "";
    let answer;
    try {
      answer = await fetch(form.action, { method: "POST", body: sent, credentials: "same-origin" });
    } catch {
      answer = undefined;
    }
    const part = form.querySelector("[data-replace]");
    const page = answer && new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = page && page.getElementById(part.id);
    if (!answer || !answer.ok || !fresh) {
      // As without a script.
      const button = document.createElement("button");
      button.name = "do";
      button.value = submitter;
      button.formNoValidate = true;
      button.hidden = true;
      form.append(button);
      leaving = true;
      form.requestSubmit(button);
      return;
    }
    const focused = document.activeElement && document.activeElement.id;
    part.replaceWith(fresh);
    const rows = fresh.querySelectorAll("select[id^='field.']");
    const next = submitter === "add" ? rows[rows.length - 1] : document.getElementById(focused);
    if (next) next.focus();
  }

  let leaving = false;
  const state = (form) => new URLSearchParams(new FormData(form)).toString();
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
