// Uses the page of a gallery as a person would, in Chromium; prints JSON with what was seen.
//   node gallery.mjs CHROMIUM URL SCENARIO [FOLDER]

import { chromium } from "playwright-core";

const [executablePath, url, scenario, folder] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const said = [];

async function open({ hash = "", ...options } = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(error.message));
  page.on("dialog", (dialog) => { said.push(dialog.message()); dialog.dismiss(); });
  await page.goto(url + hash);
  if (options.javaScriptEnabled !== false) await page.waitForSelector("body[data-ready]", { timeout: 60000 });
  return page;
}

/** What can be seen: the models of the table and of the cards, how the table is sorted, and what the page says. */
const look = (page) => page.evaluate(() => {
  const seen = (all) => [...all].filter((element) => element.checkVisibility());
  return {
    rows: seen(document.querySelectorAll("#models tbody tr")).map((row) => row.querySelector("a").textContent),
    cards: seen(document.querySelectorAll("article")).map((card) => card.id),
    sorted: [...document.querySelectorAll("#models thead th")].map((head) => [head.dataset.key, head.getAttribute("aria-sort")]),
    status: document.querySelector("#status").textContent,
    hash: location.hash,
  };
});

async function press(page, name) {
  await page.getByRole("button", { name, exact: true }).focus();
  await page.keyboard.press("Enter");
}

const SCENARIOS = {
  async sort() {
    const page = await open();
    const seen = { first: await look(page) };
    await press(page, "MB");
    seen.up = await look(page);
    await press(page, "MB");
    seen.down = await look(page);
    await press(page, "FID");
    seen.fid = await look(page);
    await page.locator("#models thead").getByText("FID").click();
    seen.clicked = await look(page);
    await press(page, "Accuracy");
    seen.accuracy = await look(page);
    await press(page, "Accuracy");
    seen.accuracies = await look(page);
    return seen;
  },
  async filter() {
    const page = await open();
    await page.getByLabel("Search").fill("Classifier residual");
    const seen = { words: await look(page) };
    await page.locator("select[name=data]").selectOption("digits");
    seen.both = await look(page);
    const linked = await open({ hash: seen.both.hash });
    seen.linked = await look(linked);
    await linked.evaluate(() => { location.hash = "#vae.digits"; });
    await linked.waitForTimeout(200);
    seen.target = await look(linked);
    await press(page, "Clear");
    await page.waitForTimeout(100);
    seen.cleared = await look(page);
    await page.locator("select[name=task]").selectOption("reconstruct");
    seen.task = await look(page);
    await page.getByLabel("Search").fill("nothing like it");
    seen.nothing = await look(page);
    seen.odd = await look(await open({ hash: "#data=%22%3E&sort=__proto__&task=x&q=%" }));
    return seen;
  },
  async pick() { // choose a data set by its name, which may be anything
    const page = await open();
    await page.locator("select[name=data]").selectOption(folder);
    const { rows } = await look(page);
    await page.getByLabel("Search").fill("not there");
    return { rows, none: (await look(page)).rows };
  },
  async copy() {
    const page = await open({ permissions: ["clipboard-read", "clipboard-write"] });
    await press(page, "Copy the Python of vae.digits");
    await page.waitForFunction(() => document.querySelector("#status").textContent === "Copied");
    const copied = await page.evaluate(() => navigator.clipboard.readText());
    await page.evaluate(() => Object.defineProperty(navigator, "clipboard", { value: undefined }));
    await press(page, "Copy the shell line of vae.digits");
    await page.waitForFunction(() => document.querySelector("#status").textContent !== "Copied");
    return { copied, status: await page.textContent("#status"), selected: await page.evaluate(() => String(getSelection())) };
  },
  async plain() {
    const page = await open({ javaScriptEnabled: false });
    return {
      rows: await page.locator("#models tbody tr:visible").count(),
      cards: await page.locator("article:visible").count(),
      buttons: await page.locator("button:visible").count(),
    };
  },
  async look() {
    const seen = {};
    for (const [name, viewport] of Object.entries({ phone: { width: 360, height: 740 }, desktop: { width: 1280, height: 900 } })) {
      for (const colorScheme of ["light", "dark"]) {
        const page = await open({ viewport, colorScheme });
        for (const image of await page.locator("img").all()) await image.scrollIntoViewIfNeeded();
        seen[`${name} ${colorScheme}`] = await page.evaluate(async () => {
          const images = [...document.images];
          await Promise.all(images.map((image) => image.decode()));
          return {
            wide: document.scrollingElement.scrollWidth - innerWidth,
            ground: getComputedStyle(document.body).backgroundColor,
            unlabelled: [...document.querySelectorAll("input, select")].filter((field) => !field.labels.length).length,
            images: images.map(({ naturalWidth, naturalHeight, width, height }) => [naturalWidth, naturalHeight, width, height]),
          };
        });
        await page.evaluate(() => scrollTo(0, 0));
        if (folder) await page.screenshot({ path: `${folder}/${name}-${colorScheme}.png`, fullPage: true });
      }
    }
    return seen;
  },
};

const seen = await SCENARIOS[scenario]();
await browser.close();
console.log(JSON.stringify({ ...seen, said }));
