// Times that are written into fields or drawn: in the zone of whoever looks, with the zone named. Without
// it they are in UTC, as the server reads and sends them.
"use strict";
(function () {
  const two = (number) => String(number).padStart(2, "0");
  const clock = (at) => `${two(at.getHours())}:${two(at.getMinutes())}`;
  const written = (at) =>
    `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}T${clock(at)}:${two(at.getSeconds())}`;
  const names = new Intl.DateTimeFormat(undefined, { timeZoneName: "short" });
  const zone = (at) => names.formatToParts(at).find((part) => part.type === "timeZoneName").value;

  function show(within) {
    for (const place of within.querySelectorAll("[data-clock]:not([data-shown])")) {
      const at = new Date(place.dataset.clock);
      place.textContent = place.textContent.replace(/\d\d:\d\d/, clock(at)).replace("UTC", zone(at));
      place.dataset.shown = "";
    }
    for (const place of within.querySelectorAll("[data-zone]")) place.textContent = zone(new Date());
  }

  for (const field of document.querySelectorAll("input[data-moment]")) {
    const at = field.defaultValue ? new Date(`${field.defaultValue}Z`) : new Date();
    if (field.defaultValue) field.value = written(at);
    for (const label of field.labels) label.textContent = label.textContent.replace("UTC", zone(at));
    // An address means the same moment to whoever gets it.
    field.form.addEventListener("formdata", (event) => {
      const moment = new Date(field.value);
      if (!Number.isNaN(moment.getTime())) event.formData.set(field.name, moment.toISOString());
    });
  }
  show(document);
  document.addEventListener("mosync:changed", (event) => show(event.target));
})();
