// Comfort only: without it the same form makes the same links.
"use strict";

function share(form) {
  const field = form.querySelector("textarea");
  const link = form.dataset.post;
  const copy = form.querySelector("[data-copy]");
  const status = form.querySelector("[data-copied]");
  const device = document.querySelector("[data-device]");

  function fill() {
    status.textContent = "";
    for (const target of document.querySelectorAll("[data-pattern]")) {
      target.href = target.dataset.pattern.replace("{text}", () => encodeURIComponent(field.value.trim()));
    }
  }

  field.addEventListener("input", fill);
  // A browser may bring back what was typed before the page was left.
  addEventListener("pageshow", fill);
  form.querySelector("[data-fallback]").hidden = Boolean(document.querySelector("[data-pattern]"));

  if (navigator.clipboard) {
    copy.hidden = false;
    copy.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(`${field.value.trim()} ${link}`);
        status.textContent = status.dataset.copied;
      } catch {
        field.select();
      }
    });
  }

  if (navigator.share && device) {
    device.hidden = false;
    // Refused or put away, it has nothing more to say.
    device.addEventListener("click", () => navigator.share({ text: field.value.trim(), url: link }).catch(() => {}));
  }
}

document.querySelectorAll("[data-post]").forEach(share);
