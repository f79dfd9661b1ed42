// @ts-check
"use strict";

// Load the page again if one of its scripts did not load: the service was busy, or is being updated. The browser keeps
// the scripts that it has, so that each attempt asks for fewer. This is no module: it must listen before they are loaded.
(() => {
  const MAX_RELOADS = 4;
  const FIRST_PAUSE_MS = 1000;

  addEventListener(
    "error",
    (event) => {
      const reloads = history.state?.reloads ?? 0;
      if (!(event.target instanceof HTMLScriptElement) || reloads >= MAX_RELOADS) return;
      history.replaceState({ ...history.state, reloads: reloads + 1 }, "");
      setTimeout(() => location.reload(), FIRST_PAUSE_MS * 2 ** reloads);
    },
    { capture: true }, // The event of an element does not bubble.
  );
})();
