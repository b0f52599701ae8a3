// Comfort only: every page works without it.
"use strict";

const number = new Intl.NumberFormat(document.documentElement.lang);
const plural = new Intl.PluralRules(document.documentElement.lang);

// The number on the page follows the real one.
function follow(tally) {
  const SECONDS = 5;
  const QUIET_SECONDS = 60;
  const bar = tally.querySelector("progress");
  const status = tally.querySelector("[data-announce]");
  let shown = null;
  let latest = "";
  let failures = 0;
  let timer;
  let spokeAt = Date.now();

  function show(count) {
    for (const element of tally.querySelectorAll("[data-number]")) {
      element.textContent = number.format(count[element.dataset.number]);
    }
    for (const element of tally.querySelectorAll("[data-words]")) {
      const words = element.dataset;
      element.textContent = words[plural.select(count[words.words])] || words.many;
    }
    tally.querySelector(".as-of")?.remove();
    if (bar) {
      bar.max = count.goal;
      bar.value = count.total;
    }
  }

  // Politely: a screen reader hears of a new number once a minute at most.
  function speak() {
    if (Date.now() - spokeAt < QUIET_SECONDS * 1000) return;
    spokeAt = Date.now();
    status.textContent = tally.querySelector(".total").textContent.replace(/\s+/g, " ").trim();
  }

  async function ask() {
    try {
      const answer = await fetch(tally.dataset.tally, { cache: "no-store", credentials: "omit" });
      if (!answer.ok) throw new Error(answer.status);
      const count = await answer.json();
      const key = [count.total, count.confirmed_here, count.goal].join();
      // Caches and servers do not agree to the second: an older answer changes nothing.
      const isNewer = !(count.as_of < latest);
      if (isNewer) latest = count.as_of;
      if (isNewer && shown !== key) {
        show(count);
        if (shown !== null) speak();
        shown = key;
      }
      failures = 0;
    } catch {
      failures = Math.min(failures + 1, 6);
    }
    wait();
  }

  function wait() {
    clearTimeout(timer);
    if (document.hidden) return;
    // Without the jitter, everyone who opened the page at the same moment would ask at the same moment.
    timer = setTimeout(ask, SECONDS * 1000 * 2 ** failures * (0.75 + Math.random() / 2));
  }

  document.addEventListener("visibilitychange", () => {
    clearTimeout(timer);
    if (!document.hidden) timer = setTimeout(ask, Math.random() * 1000);
  });
  wait();
}

// A second press within a few seconds is a slip, not a second wish.
function once(form) {
  const SECONDS = 5;
  let sentAt = 0;
  form.addEventListener("submit", (event) => {
    if (Date.now() - sentAt < SECONDS * 1000) {
      event.preventDefault();
      return;
    }
    sentAt = Date.now();
    form.classList.add("sending");
  });
  // Coming back to a page that the browser kept as it was.
  addEventListener("pageshow", () => {
    sentAt = 0;
    form.classList.remove("sending");
  });
}

function countCharacters(field) {
  const hint = field.parentElement.querySelector("[data-left]");
  const show = () => {
    // As the server counts: in characters, a line break as two.
    const used = [...field.value.trim().replace(/\n/g, "\r\n")].length;
    const left = field.dataset.limit - used;
    hint.textContent = hint.dataset[left < 0 ? "over" : "left"].replace("#", number.format(Math.abs(left)));
    hint.hidden = used === 0;
  };
  field.addEventListener("input", show);
  show();
}

// The place of this page behind the "back" button is taken by the site that she leaves to. Three times Shift does it too.
function leaveBy(link) {
  const SECONDS = 5;
  const status = document.querySelector("[data-exit-status]");
  let presses = [];

  function leave(event) {
    event.preventDefault();
    document.body.hidden = true;
    document.title = " ";
    location.replace(link.href);
  }

  link.addEventListener("click", leave);
  addEventListener("keydown", (event) => {
    if (event.repeat) return;
    // With one of these, Shift changes the layout of the keyboard.
    const isAlone = event.key === "Shift" && !event.ctrlKey && !event.altKey && !event.metaKey;
    presses = isAlone ? [...presses, Date.now()].filter((at) => Date.now() - at < SECONDS * 1000) : [];
    if (presses.length > 2) leave(event);
    else status.textContent = presses.length ? link.dataset.exit : "";
  });
  // Coming back to a page that the browser kept as it was.
  addEventListener("pageshow", () => {
    document.body.hidden = false;
    presses = [];
  });
}

// Names of countries, for whoever comes to their field.
function suggest(list) {
  document.querySelector(`[list=${list.id}]`).addEventListener("focus", async () => {
    try {
      const names = await (await fetch(list.dataset.suggestions, { credentials: "omit" })).json();
      list.replaceChildren(...names.map((name) => new Option(name)));
    } catch {
      // She can write it without.
    }
  }, { once: true });
}

// Where the form is to be seen, nothing has to lead to it.
function hideInView(link) {
  const form = document.querySelector("#sign form");
  if (!form) return;
  // By keyboard the form comes soon enough, and nothing that one stands on may vanish.
  link.tabIndex = -1;
  new IntersectionObserver(([seen]) => link.classList.toggle("away", seen.isIntersecting)).observe(form);
}

document.querySelectorAll("[data-suggestions]").forEach(suggest);
document.querySelectorAll("[data-to-sign]").forEach(hideInView);
document.querySelectorAll("[data-exit]").forEach(leaveBy);
document.querySelectorAll("[data-tally]").forEach(follow);
document.querySelectorAll("[data-once]").forEach(once);
document.querySelectorAll("[data-limit]").forEach(countCharacters);

// Browsers that know autofocus only on fields leave the list of errors unfocused; the others need a moment for it.
addEventListener("load", () => {
  setTimeout(() => {
    if (document.activeElement === document.body) document.querySelector("[data-errors]")?.focus();
  }, 300);
});
