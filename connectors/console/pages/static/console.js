// The few scripts that the pages need in addition to htmx. Every page also works without them.
(() => {
  "use strict";
  try {
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    document.cookie = `tz=${zone}; path=/; max-age=31536000; samesite=lax`;
  } catch { /* the server then writes UTC */ }

  document.addEventListener("change", (event) => {
    if (event.target.matches("select[data-submits]")) event.target.form.requestSubmit();
  });

  document.addEventListener("submit", (event) => {
    const question = event.target.dataset.asks;
    if (question && !confirm(question)) event.preventDefault();
  });

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copies]");
    if (!button) return;
    const shown = document.getElementById(button.dataset.copies);
    if (!navigator.clipboard) {  // over plain http there is no clipboard: select the text, so that the person can copy it
      getSelection().selectAllChildren(shown);
      return;
    }
    await navigator.clipboard.writeText(shown.textContent.trim());
    button.textContent = button.dataset.copied;
  });

  document.addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, select, audio, [contenteditable]");
    if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") {
      const search = document.querySelector("input[type=search]");
      if (search) { event.preventDefault(); search.focus(); }
    }
    if (event.key !== "j" && event.key !== "k") return;
    const rows = [...document.querySelectorAll(".heads a.head")];
    const at = rows.findIndex((row) => row === document.activeElement || row.getAttribute("aria-current"));
    const next = rows[at + (event.key === "j" ? 1 : -1)];
    if (next) { next.focus(); next.scrollIntoView({ block: "nearest" }); }
  });

  const live = (text) => document.querySelectorAll("[data-live]").forEach((dot) => { dot.dataset.live = text; });
  document.addEventListener("htmx:sse:after:connection", () => live("on"));
  document.addEventListener("htmx:sse:error", () => live("off"));
  document.addEventListener("busy", () => live("off"));
  document.addEventListener("gone", () => location.reload());  // the shown conversation was erased
})();
