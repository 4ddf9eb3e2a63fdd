// What is read aloud when a script has replaced a part of a page: the part's data-said, in the element
// that its data-said-in names. That one stays, so whoever listens to it hears the difference alone.
"use strict";
(function () {
  const seen = new MutationObserver((changes) => {
    for (const part of changes.flatMap((change) => [...change.addedNodes])) {
      const place = part.dataset && document.getElementById(part.dataset.saidIn);
      if (place) place.textContent = part.dataset.said;
    }
  });
  seen.observe(document.getElementById("main"), { childList: true, subtree: true });
})();
