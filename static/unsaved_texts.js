// Asks before a form with changes is left. Without this script the language tabs save, and all else is as in any form.
"use strict";

const form = document.querySelector("#content-main form");
let isChanged = Boolean(document.querySelector(".errornote, [data-unsaved]"));

form?.addEventListener("input", () => {
  isChanged = true;
});

form?.addEventListener("submit", (event) => {
  // A preview opens beside it.
  if (event.submitter?.name !== "_preview") isChanged = false;
});

addEventListener("beforeunload", (event) => {
  if (isChanged) event.preventDefault();
});
