// Hands the one-time code to the frame that opened this window, if that is a page of the console.
"use strict";
(function () {
  const handover = document.getElementById("handover");
  if (!handover || !window.opener) return;
  window.opener.postMessage({ mosync: handover.dataset.code }, location.origin);
  window.close();
})();
