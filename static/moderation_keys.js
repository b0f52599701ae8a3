// Keys for moderating names and words. Without this script the Tab key does, and every button works.
"use strict";

const cards = [...document.querySelectorAll(".moderation .card")];
const selectAll = document.querySelector("[data-select-all]");
let current = -1;

function go(to) {
  if (!cards[to]) return;
  current = to;
  cards[to].focus();
}

// Letters by their place, so that a Russian keyboard has them where they are printed.
const keys = {
  KeyJ: () => go(current + 1),
  KeyK: () => go(current - 1),
  KeyA: () => button("approve")?.click(),
  KeyW: () => button("approve_words")?.click(),
  KeyN: () => button("approve_name")?.click(),
  KeyH: hide,
  KeyX: () => button("selected")?.click(),
  KeyS: () => selectAll?.click(),
  KeyU: () => document.querySelector("[name=undo]")?.click(),
};

function button(name) {
  return cards[current]?.querySelector(`[name=${name}]`);
}

// It lies beside J, and what is hidden is gone: the first press leads to the button, the second one presses it.
function hide() {
  if (document.activeElement === button("hide")) button("hide").click();
  else button("hide")?.focus();
}

document.addEventListener("keydown", (event) => {
  // A key held down would decide on what nobody has read.
  if (event.repeat || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
  if (event.target.matches("select, textarea, input:not([type=checkbox])")) return;
  if (keys[event.code]) {
    event.preventDefault();
    keys[event.code]();
  }
});

// Tab and clicks move it, too.
document.addEventListener("focusin", (event) => {
  const card = event.target.closest(".card");
  if (card) current = cards.indexOf(card);
});

// Ticks what the link would have ticked, without asking for the page again, and the next time takes the ticks away.
selectAll?.addEventListener("click", (event) => {
  const boxes = [...document.querySelectorAll("[name=selected]")];
  const tick = boxes.some((box) => !box.checked);
  for (const box of boxes) box.checked = tick;
  event.preventDefault();
});

document.querySelector("[data-keys]")?.removeAttribute("hidden");
go(Math.max(0, cards.findIndex((card) => card.hasAttribute("autofocus"))));
