// The clock beside an input of the admin offers noon and 6 p.m.; here times have 24 hours.
"use strict";

if (window.DateTimeShortcuts) {
  const hours = [0, 6, 12, 18].map((hour) => [`${String(hour).padStart(2, "0")}:00`, hour]);
  window.DateTimeShortcuts.clockHours.default_ = [["Now", -1], ...hours];
}
