// What a page can't do from the controller: it says whether somebody looks, renews a sign-in, and knows a few keys.
"use strict";
(() => {
  document.addEventListener("visibilitychange", () => {
    emitEvent("seawall_seen", !document.hidden);
  });

  // A cookie that scripts can't read comes with an answer only; the socket of the page goes on as it is.
  document.addEventListener("submit", async (event) => {
    const form = event.target.closest("form.again");
    if (!form) return;
    event.preventDefault();
    const problem = form.querySelector(".problem");
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const answer = await fetch("/ui/sign-in", {
        method: "POST",
        headers: { "X-Seawall-Page": form.dataset.page },
        body: new URLSearchParams({ name: form.dataset.name, password: form.elements.password.value }),
      });
      problem.textContent = answer.ok ? "" : await answer.text();
      form.elements.password.value = "";
    } catch {
      problem.textContent = "The controller can't be reached; try again.";
    } finally {
      button.disabled = false;
    }
  });

  document.addEventListener("keydown", (event) => {
    if (event.key !== "/" || event.ctrlKey || event.metaKey || event.target.closest("input, textarea")) return;
    const field = document.querySelector("main .field input");
    if (!field) return;
    event.preventDefault();
    field.focus();
  });

  // A log is read from its end, unless somebody has scrolled up.
  new MutationObserver((changes) => {
    for (const change of changes) {
      const log = change.target.closest?.("[data-follow]");
      if (log && log.dataset.left !== "true") log.scrollTop = log.scrollHeight;
    }
  }).observe(document.body, { childList: true, subtree: true });
  document.addEventListener(
    "scroll",
    (event) => {
      const log = event.target;
      if (!(log instanceof Element) || !log.matches("[data-follow]")) return;
      log.dataset.left = String(log.scrollHeight - log.scrollTop - log.clientHeight > 40);
    },
    true,
  );
})();
