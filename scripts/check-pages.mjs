// Drives a browser over a site of pages in a folder: nothing may be asked for outside of it, axe may find nothing (WCAG 2.2 AA), links must lead
// somewhere, the search must find what it is told that it finds, and without scripts people must find their way, too.
// SCREENSHOTS=FOLDER keeps a picture of each page that was looked at.
import { createRequire } from "node:module";
import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const require = createRequire(join(resolve(process.env.NODE_MODULES), "here.js"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const root = resolve(process.argv[2]);
const wanted = process.argv.slice(3).map((pair) => pair.split("="));
const problems = [];
const flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: flags });

const watched = async (options) => {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.loaded = 0;
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol === "data:") return;
    if (url.protocol !== "file:" || !fileURLToPath(`file://${url.pathname}`).startsWith(root)) problems.push(`asks for ${request.url()}`);
    else try { page.loaded += statSync(fileURLToPath(`file://${url.pathname}`)).size; } catch { problems.push(`${request.url()} is not there`); }
  });
  page.on("console", (message) => { if (message.type() === "error") problems.push(`${page.url()}: ${message.text()}`); });
  page.on("pageerror", (error) => problems.push(`${page.url()}: ${error.message}`));
  return page;
};
const address = (path) => pathToFileURL(join(root, path)).href;

// One of each kind of page, and the largest of each.
const inFolder = (folder) => (existsSync(join(root, folder)) ? readdirSync(join(root, folder), { recursive: true }) : [])
  .filter((name) => name.endsWith(".html")).map((name) => join(folder, name));
// A page of a template stands alone.
const isSite = existsSync(join(root, "search.html"));
const pages = isSite ? ["index.html", "search.html"] : ["index.html"];
for (const folder of ["months", "photos", "people", "places", "collections", "tags", "links"]) {
  const all = inFolder(folder).sort((a, b) => statSync(join(root, b)).size - statSync(join(root, a)).size);
  pages.push(...new Set([...all.slice(0, 2), ...all.slice(-1)]));
}
const looked = [];
for (const colorScheme of ["light", "dark"]) {
  const page = await watched({ colorScheme, viewport: { width: 900, height: 1000 } });
  for (const path of pages) {
    await page.goto(address(path));
    // Pages that lead on at once are not looked at, but whether they do.
    if (readFileSync(join(root, path), "utf8").includes('http-equiv="refresh"')) {
      await page.waitForURL((url) => !url.pathname.includes("/links/"));
      if (!(await page.evaluate(() => document.querySelector(":target") !== null))) problems.push(`${path} leads to no memory`);
      continue;
    }
    const found = await page.evaluate(`${axe}; axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"], preload: false })`);
    for (const violation of found.violations) problems.push(`${path} (${colorScheme}): ${violation.id}: ${violation.nodes[0].html}`);
    if (process.env.SCREENSHOTS) await page.screenshot({ path: join(process.env.SCREENSHOTS, `${colorScheme}-${path.replaceAll("/", "_")}.png`) });
    looked.push(path);
  }
  await page.close();
}

// Every link of every page leads to something that is there.
const targets = new Map();
const ids = (file) => {
  if (!targets.has(file)) targets.set(file, existsSync(file) ? new Set([...readFileSync(file, "utf8").matchAll(/ id="([^"]*)"/g)].map((match) => match[1])) : null);
  return targets.get(file);
};
let links = 0;
for (const path of [...inFolder(".")]) {
  const file = join(root, path);
  for (const [, link] of readFileSync(file, "utf8").matchAll(/ (?:href|src|action)="([^"]*)"/g)) {
    const url = new URL(link.replaceAll("&amp;", "&").replaceAll("&#39;", "'"), pathToFileURL(file));
    if (url.protocol !== "file:") continue;
    links += 1;
    const target = fileURLToPath(`file://${url.pathname}`);
    if (!target.startsWith(root)) problems.push(`${path} leads out to ${link}`);
    else if (!existsSync(target)) problems.push(`${path}: nothing is at ${link}`);
    else if (url.hash && target.endsWith(".html") && !ids(target).has(decodeURIComponent(url.hash.slice(1)))) problems.push(`${path}: no place ${link}`);
  }
}

const search = await watched({});
await search.goto(address(isSite ? "search.html" : "index.html"));
const firstLoad = search.loaded;
const times = [];
for (const [word, count] of wanted) {
  // A word with an asterisk is one that somebody is still writing.
  await search.fill("#q", word.replace("*", ""));
  if (!word.endsWith("*")) await search.press("#q", "Enter");
  await search.waitForFunction(() => document.getElementById("told").dataset.milliseconds !== undefined);
  const told = await search.textContent("#told");
  const found = /^No memory/.test(told) ? 0 : Number(told.replaceAll(",", "").match(/^\d+/)?.[0]);
  if (found !== Number(count)) problems.push(`the search for ${word} found ${found} (${told}), not ${count}`);
  times.push(Number(await search.evaluate(() => document.getElementById("told").dataset.milliseconds)));
  if (found > 0) {
    await search.click("#found li a");
    if (!(await search.evaluate(() => document.querySelector(":target") !== null))) problems.push(`the first answer to ${word} leads nowhere`);
    await search.goBack();
  }
  await search.goto(address("search.html"));
}

// Without scripts: from the first page to a memory, on to the next page, to a photo and to a person.
const plain = await watched({ javaScriptEnabled: false });
await plain.goto(address("index.html"));
if (isSite) await plain.click(".months a");
if ((await plain.locator("article").count()) === 0) problems.push("without scripts no memory is reached");
if (isSite) await plain.goto(address("search.html"));
if (isSite && !(await plain.textContent("main")).includes("needs JavaScript")) problems.push("without scripts the search does not say what it needs");

await browser.close();
const told = [...new Set(problems)];
console.log(JSON.stringify({ looked: looked.length, links, firstLoadBytes: firstLoad, searchMilliseconds: times, problems: told.length }));
told.slice(0, 40).forEach((problem) => console.error(problem));
process.exit(told.length ? 1 : 0);
