// Keeps what is live on a page up to date. Each part of the page that may change is marked with
// data-live-part; the server sends the parts that have changed. Parts marked with data-live-own are
// read again from the page itself when something has changed. Without it the page is as it was read.
"use strict";
(function () {
  const state = document.getElementById("live-state");
  if (!window.EventSource) return;
  // Between tries of ours, in milliseconds: each pause is twice as long as the one before.
  const SHORTEST = 1000;
  const LONGEST = 60000;
  // A connection that is there again so soon was never missed.
  const UNNOTICED = 4000;
  // A page is not read more often than this.
  const OWN_EVERY = 2000;
  let source = null;
  let last = "";
  let pause = SHORTEST;
  let next = 0;
  let notice = 0;
  const shown = new WeakMap();

  function say(word, text) {
    clearTimeout(notice);
    notice = 0;
    if (!state || state.dataset.state === word) return;
    state.hidden = false;
    state.dataset.state = word;
    state.textContent = text;
  }

  function sayWaiting() {
    if (!notice) notice = setTimeout(() => say("waiting", "Connecting again"), UNNOTICED);
  }

  // Somebody is about to write or press: it is not taken from under their hands.
  function isInUse(place) {
    const focused = document.activeElement;
    if (place.contains(focused) && focused.matches("input, textarea, select, button")) return true;
    const fields = place.querySelectorAll("input:not([type=hidden]), textarea");
    return [...fields].some((field) => field.value !== field.defaultValue);
  }

  function show(selector, markup) {
    for (const place of document.querySelectorAll(selector)) {
      if (shown.get(place) === markup || isInUse(place)) continue;
      const focused = place.contains(document.activeElement) ? document.activeElement : null;
      const opened = [...place.querySelectorAll("details")].map((details) => details.open);
      const summary = [...place.querySelectorAll("summary")].indexOf(focused);
      const href = focused && focused.getAttribute("href");
      shown.set(place, markup);
      place.innerHTML = markup;
      place.dispatchEvent(new CustomEvent("mosync:changed", { bubbles: true }));
      place.querySelectorAll("details").forEach((details, number) => { details.open = Boolean(opened[number]); });
      const links = [...place.querySelectorAll("a[href]")];
      const held = href ? links.find((link) => link.getAttribute("href") === href) : place.querySelectorAll("summary")[summary];
      if (held) held.focus();
    }
  }

  // The page's own parts, one reading after the other, for as long as there is something new.
  const own = state && state.dataset.own;
  let isReading = false;
  let isNew = false;
  let ownPause = OWN_EVERY;
  async function readOwn() {
    isNew = true;
    if (!own || isReading) return;
    isReading = true;
    while (isNew && source) {
      isNew = false;
      try {
        // Such a request is no sign that anybody is there.
        const answer = await fetch(own, { cache: "no-store", headers: { "x-mosync-by-itself": "1" } });
        // What it says now it says again: not before something has changed.
        if (answer.status >= 400 && answer.status < 500) break;
        if (!answer.ok) throw new Error(answer.statusText);
        ownPause = OWN_EVERY;
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const part of page.querySelectorAll("[data-live-own]")) {
          show(`[data-live-own="${part.dataset.liveOwn}"]`, part.innerHTML);
        }
      } catch {
        isNew = true;
        ownPause = Math.min(ownPause * 2, LONGEST);
      }
      await new Promise((done) => setTimeout(done, ownPause));
    }
    isReading = false;
  }

  const address = () => `/events?after=${encodeURIComponent(last)}`;

  function open() {
    if (source) return;
    source = new EventSource(address());
    source.addEventListener("open", () => {
      pause = SHORTEST;
      say("on", "Live");
      // Nobody tells what of the page itself has changed meanwhile.
      readOwn();
    });
    source.addEventListener("parts", (event) => {
      last = event.lastEventId;
      for (const [name, markup] of Object.entries(JSON.parse(event.data))) show(`[data-live-part="${name}"]`, markup);
      readOwn();
    });
    source.addEventListener("error", () => {
      sayWaiting();
      // The browser tries again by itself, unless it was answered, and not with events.
      if (source && source.readyState === EventSource.CLOSED) {
        close();
        again();
      }
    });
  }

  // A proxy whose server starts again, a store that is away: what has no end of its own is tried again.
  async function again() {
    const asked = pause;
    pause = Math.min(pause * 2, LONGEST);
    let answer;
    try {
      answer = await fetch(address(), { method: "HEAD", cache: "no-store" });
    } catch {
      answer = undefined;
    }
    if (answer && (answer.status === 401 || answer.status === 403)) {
      say("off", "Live updates have ended. Load the page again to sign in.");
      return;
    }
    // Not all pages at once.
    if (!document.hidden) next = setTimeout(open, asked * (0.75 + Math.random() / 2));
  }

  function close() {
    clearTimeout(next);
    if (source) source.close();
    source = null;
  }

  // A browser has few connections for a site: tabs that nobody sees leave theirs to others.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  if (!document.hidden) open();
})();
