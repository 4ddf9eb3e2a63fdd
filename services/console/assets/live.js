// Keeps what is live on a page up to date. Each part of the page that may change is marked with
// data-live-part; the server sends the parts that have changed. Without it the page is as it was read.
"use strict";
(function () {
  const state = document.getElementById("live-state");
  if (!window.EventSource) return;
  let source = null;
  let last = "";
  const shown = new WeakMap();

  function say(word, text) {
    if (!state) return;
    state.hidden = false;
    state.dataset.state = word;
    state.textContent = text;
  }

  function show(name, markup) {
    for (const place of document.querySelectorAll(`[data-live-part="${name}"]`)) {
      if (shown.get(place) === markup) continue;
      const held = place.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
      shown.set(place, markup);
      place.innerHTML = markup;
      place.dispatchEvent(new CustomEvent("mosync:changed", { bubbles: true }));
      if (held) {
        const again = [...place.querySelectorAll("a[href]")].find((link) => link.getAttribute("href") === held);
        if (again) again.focus();
      }
    }
  }

  function open() {
    if (source) return;
    source = new EventSource(`/events?after=${encodeURIComponent(last)}`);
    source.addEventListener("open", () => say("on", "Live"));
    source.addEventListener("parts", (event) => {
      last = event.lastEventId;
      for (const [name, markup] of Object.entries(JSON.parse(event.data))) show(name, markup);
    });
    source.addEventListener("error", () => {
      // The browser tries again by itself, unless it was told no.
      if (source && source.readyState === EventSource.CLOSED) {
        close();
        say("off", "Live updates have ended. Load the page again.");
      } else {
        say("waiting", "Connecting again");
      }
    });
  }

  function close() {
    if (source) source.close();
    source = null;
  }

  // A browser has few connections for a site: tabs that nobody sees leave theirs to others.
  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  if (!document.hidden) open();
})();
