// Lighthouse in a Chromium that runs already: reads what to judge, answers with one line of JSON for each page.
import { text } from "node:stream/consumers";
import lighthouse from "lighthouse";

const { port, pages } = JSON.parse(await text(process.stdin));

// Nothing here depends on time, so nothing waits for the machine to be quiet.
const AT_ONCE = { pauseAfterFcpMs: 0, pauseAfterLoadMs: 0, networkQuietThresholdMs: 0, cpuQuietThresholdMs: 0 };

for (const { url, categories } of pages) {
  const settings = { onlyCategories: categories, disableFullPageScreenshot: true, ...(categories.includes("performance") ? {} : AT_ONCE) };
  const { lhr } = await lighthouse(url, { port, logLevel: "silent", output: [] }, { extends: "lighthouse:default", settings });
  const faults = lhr.runtimeError ? [lhr.runtimeError.message] : [];
  for (const { id, auditRefs } of Object.values(lhr.categories)) {
    if (id === "performance") continue;
    for (const audit of auditRefs.filter(({ weight }) => weight > 0).map((ref) => lhr.audits[ref.id])) {
      if (audit.score !== null && audit.score < 1) faults.push(`${id}: ${audit.id}, ${JSON.stringify(audit.details?.items ?? audit.title).slice(0, 600)}`);
    }
  }
  const scores = Object.fromEntries(Object.values(lhr.categories).map(({ id, score }) => [id, score === null ? null : Math.round(score * 100)]));
  console.log(JSON.stringify({ url, scores, faults }));
}
