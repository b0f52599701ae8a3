// Comfort only: without it the same form makes the same links.
"use strict";

function share(form) {
  const field = form.querySelector("textarea");
  const link = form.dataset.post;
  const copy = form.querySelector("[data-copy]");
  const copying = form.querySelector("[data-copying]");
  const picture = document.querySelector("[data-picture]");
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
  const fallback = form.querySelector("[data-fallback]");
  if (fallback) fallback.hidden = Boolean(document.querySelector("[data-pattern]"));

  if (navigator.clipboard) {
    copying.hidden = false;
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
    device.addEventListener("click", async () => {
      const words = { text: field.value.trim(), url: link };
      try {
        const file = picture && new File([await (await fetch(picture.href)).blob()], "picture.png", { type: "image/png" });
        const all = { ...words, files: [file] };
        await navigator.share(file && navigator.canShare?.(all) ? all : words);
      } catch {
        // Refused or put away, it has nothing more to say.
      }
    });
  }
}

document.querySelectorAll("[data-post]").forEach(share);
