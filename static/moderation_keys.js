// Keys for moderating names and words. Without this script the Tab key does, and every button works.
"use strict";

const cards = [...document.querySelectorAll(".moderation .card")];
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
  KeyA: () => press("approve"),
  KeyH: () => press("hide"),
  KeyX: () => cards[current]?.querySelector("[name=selected]").click(),
};

function press(name) {
  cards[current]?.querySelector(`[name=${name}]`).click();
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

document.querySelector("[data-keys]")?.removeAttribute("hidden");
go(0);
