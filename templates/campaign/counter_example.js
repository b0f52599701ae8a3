const element = document.querySelector("#signatures");
let pause = 60;

async function show() {
  if (!document.hidden) {
    try {
      const answer = await fetch("{{ site_url }}{% url 'count-json' petition.slug %}", { credentials: "omit" });
      const count = await answer.json();
      element.textContent = count.total.toLocaleString(document.documentElement.lang);
      pause = 60;
    } catch {
      pause = Math.min(pause * 2, 3600);
    }
  }
  // Not all at the same moment.
  setTimeout(show, pause * 1000 * (0.75 + Math.random() / 2));
}
show();
