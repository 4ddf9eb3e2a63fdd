// In a frame of another site: signs in in a window of its own, which hands back a one-time code.
"use strict";
(function () {
  const asking = document.getElementById("sign-in");
  if (!asking || !asking.dataset.frame || window.top === window.self) return;
  const link = asking.querySelector("a");
  const form = asking.querySelector("form");
  link.addEventListener("click", (event) => {
    event.preventDefault();
    const address = new URL(link.href);
    address.searchParams.set("frame", asking.dataset.frame);
    window.open(address, "mosync-sign-in", "popup,width=520,height=720");
  });
  const kept = document.getElementById("kept");
  window.addEventListener("message", async (event) => {
    if (event.origin !== location.origin || typeof event.data?.mosync !== "string") return;
    form.elements.code.value = event.data.mosync;
    if (!kept) return form.submit();
    // What was written goes on from here, in the session that this begins.
    const body = new URLSearchParams(new FormData(form));
    await fetch(form.action, { method: "POST", body, redirect: "manual" });
    kept.requestSubmit();
  });
})();
