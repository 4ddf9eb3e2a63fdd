// Shows times in the zone of whoever looks, with the zone named. Without it they are in UTC.
"use strict";
(function () {
  const format = new Intl.DateTimeFormat(undefined, {
    year: "numeric", month: "short", day: "numeric",
    hour: "2-digit", minute: "2-digit", second: "2-digit", timeZoneName: "short",
  });
  function show(within) {
    for (const time of within.querySelectorAll("time[datetime]:not([data-shown])")) {
      const at = new Date(time.dateTime);
      if (Number.isNaN(at.getTime())) continue;
      time.title = time.textContent;
      time.textContent = format.format(at);
      time.dataset.shown = "";
    }
  }
  show(document);
  // For scripts that put new times into a page.
  document.addEventListener("mosync:changed", (event) => show(event.target));
})();
