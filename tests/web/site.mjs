// Reads the documentation site from the disk, offline, in Chromium; prints JSON with what was seen.
//   node site.mjs CHROMIUM SITE WORDS [FOLDER]   FOLDER: where screenshots are written

import { readdirSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { chromium } from "playwright-core";

const [executablePath, site, words, folder] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const said = [], requested = [];
const address = (page) => pathToFileURL(join(site, page)).href;
const pages = readdirSync(site, { recursive: true }).filter((name) => name.endsWith(".html") && name !== "404.html" && !/^(source|gallery)\//.test(name));

async function open(options) {
  const context = await browser.newContext({ offline: true, ...options });
  const page = await context.newPage();
  page.on("console", (message) => { if (message.type() === "error") said.push(message.text()); });
  page.on("pageerror", (error) => said.push(error.message));
  page.on("requestfailed", (request) => {
    const { errorText } = request.failure();
    if (errorText !== "net::ERR_ABORTED") said.push(`${request.url()} ${errorText}`); // aborted: the next page was opened
  });
  page.on("request", (request) => { if (!/^(file|data|blob):/.test(request.url())) requested.push(request.url()); });
  return page;
}

const seen = { found: [], opened: "", wide: [], broken: [] };
try {
  const page = await open({ viewport: { width: 1280, height: 900 } });
  await page.goto(address("index.html"));
  await page.keyboard.press("/");
  await page.getByRole("combobox", { name: "Search" }).pressSequentially(words, { delay: 20 });
  await page.getByRole("option").filter({ hasText: words }).first().waitFor({ timeout: 20000 });
  if (folder) await page.screenshot({ path: `${folder}/search.png` });
  seen.found = await page.getByRole("option").allInnerTexts();
  await page.keyboard.press("Enter");
  await page.waitForURL((url) => !url.pathname.endsWith("/index.html"));
  await page.waitForLoadState();
  seen.opened = await page.title();
  for (const [size, viewport] of Object.entries({ phone: { width: 390, height: 844 }, desktop: { width: 1280, height: 900 } })) {
    for (const colorScheme of ["light", "dark"]) {
      const page = await open({ viewport, colorScheme });
      for (const name of pages) {
        await page.goto(address(name));
        const { width, broken } = await page.evaluate(() => ({
          width: document.scrollingElement.scrollWidth,
          broken: [...document.images].filter((image) => image.complete && !image.naturalWidth).map((image) => image.src),
        }));
        if (width > viewport.width) seen.wide.push([name, size, width]);
        seen.broken.push(...broken);
        if (folder) await page.screenshot({ path: `${folder}/${name.replaceAll("/", "-")}-${size}-${colorScheme}.png` });
      }
    }
  }
} finally {
  await browser.close();
}
console.log(JSON.stringify({ ...seen, pages: pages.length, said, requested }));
