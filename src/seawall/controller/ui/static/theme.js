// Light or dark: as the system has it, unless somebody chose here. Loaded before the page is drawn.
"use strict";
(() => {
  const KEY = "seawall-theme";
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");

  function apply() {
    root.dataset.theme = localStorage.getItem(KEY) ?? (system.matches ? "dark" : "light");
  }

  apply();
  system.addEventListener("change", apply);
  document.addEventListener("click", (event) => {
    if (!event.target.closest("[data-theme='toggle']")) return;
    localStorage.setItem(KEY, root.dataset.theme === "dark" ? "light" : "dark");
    apply();
  });
})();
