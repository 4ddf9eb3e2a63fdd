// Brings the tab of the page into sight where not all of them fit.
"use strict";
(function () {
  const tab = document.querySelector(".tabs [aria-current]");
  const tabs = tab && tab.closest(".tabs");
  if (!tabs) return;
  const show = () => { tabs.scrollLeft = tab.offsetLeft - tabs.offsetLeft - (tabs.clientWidth - tab.offsetWidth) / 2; };
  show();
  // A phone that is turned.
  window.addEventListener("resize", show);
})();
