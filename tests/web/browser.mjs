// Uses the page of a web bundle as a person would, in Chromium; prints JSON with what was seen.
//   node browser.mjs CHROMIUM URL SCENARIO [FILE]

import { chromium } from "playwright-core";

const [executablePath, url, scenario, file] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
const said = [];

async function open(options) {
  const page = await browser.newPage(options);
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(error.message));
  await page.goto(url);
  await page.waitForSelector("body[data-ready]", { timeout: 60000 });
  return page;
}

/** The grey levels, or colours, of each image in a section. */
const images = (page, section) => page.$$eval(`#${section} .samples${section === "generate" ? ".made" : ""} canvas`, (all) => all.map((canvas) => {
  const context = new OffscreenCanvas(canvas.width, canvas.height).getContext("2d"); // Chromium warns if one is read twice
  context.drawImage(canvas, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  return { label: canvas.getAttribute("aria-label"), width: canvas.width, height: canvas.height, data: [...data] };
}));

/** Press a button by its words, as a keyboard does, and wait until the page has done what it asks for. */
async function press(page, section, words) {
  const button = page.locator(`#${section}`).getByRole("button", { name: words, exact: true });
  await button.focus();
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => !document.querySelector("button:disabled"));
  await page.waitForTimeout(300);
}

const SCENARIOS = {
  async generate() {
    const page = await open();
    await page.getByLabel("Seed").first().fill("18446744073709551615");
    await page.getByLabel("First").fill("3");
    await page.getByLabel("How many").fill("5");
    await press(page, "generate", "Generate");
    const seen = { samples: await images(page, "generate") };
    await page.getByLabel("Seed").first().fill("18446744073709551616");
    await press(page, "generate", "Generate");
    return { ...seen, wrong: await page.textContent("#status") };
  },
  async walk() {
    const page = await open();
    const middle = await images(page, "walk");
    await page.getByLabel("Sample of the seed").fill("2");
    await press(page, "walk", "Start there");
    const started = await images(page, "walk");
    await page.getByLabel("Number 1", { exact: true }).focus();
    for (let step = 0; step < 80; step++) await page.keyboard.press("ArrowRight");
    await page.waitForTimeout(500);
    return { middle, started, moved: await images(page, "walk") };
  },
  async reconstruct() {
    const page = await open();
    await page.setInputFiles("#reconstruct input[type=file]", file);
    await page.waitForTimeout(800);
    const chosen = await images(page, "reconstruct");
    await press(page, "reconstruct", "Clear");
    const cleared = await images(page, "reconstruct");
    const box = await page.locator(".pad").boundingBox();
    await page.mouse.move(box.x + 60, box.y + 60);
    await page.mouse.down();
    await page.mouse.move(box.x + 220, box.y + 220, { steps: 5 });
    await page.mouse.up();
    await page.waitForTimeout(500);
    return { chosen, cleared, drawn: await images(page, "reconstruct") };
  },
  async complete() {
    const page = await open();
    const section = page.locator("#complete");
    await section.getByLabel("How it begins").fill("the ");
    await section.getByLabel("Length").fill("40");
    await section.getByLabel("Seed").fill("7");
    await section.getByLabel("Temperature").fill("0.8");
    await section.getByLabel("Top k").fill("5");
    await press(page, "complete", "Complete");
    const [text, first] = [await page.textContent(".text"), await page.textContent("#status")];
    await section.getByLabel("How it begins").fill("é");
    await press(page, "complete", "Complete");
    return { text, status: first, wrong: await page.textContent("#status") };
  },
  async options() {
    const page = await open();
    const section = page.locator("#generate");
    for (const [label, value] of Object.entries(JSON.parse(file))) {
      if (label === "Label") await section.locator("select").selectOption(value);
      else await section.getByLabel(label, { exact: true }).fill(value);
    }
    await press(page, "generate", "Generate");
    const hidden = await section.getByLabel("Steps").isHidden();
    return { samples: await images(page, "generate"), status: await page.textContent("#status"), hidden };
  },
  async given() {
    const page = await open();
    const [name, good, bad] = JSON.parse(file);
    const section = page.locator("#generate");
    const choose = async (chosen) => {
      await section.locator("input[type=file]").setInputFiles(chosen);
      await page.waitForFunction(() => !document.querySelector("button:disabled"));
      await page.waitForTimeout(300);
    };
    const now = async () => ({ status: await page.textContent("#status"), samples: await images(page, "generate") });
    const made = async () => { await press(page, "generate", "Generate"); return now(); };
    await section.getByLabel("How many").fill("2");
    await choose(good);
    const seen = { hints: await section.locator("label .hint").allTextContents(), good: await made() };
    await choose(bad);
    seen.refused = { ...(await now()), previews: await section.locator("form .samples").evaluate((all) => all.children.length) };
    seen.again = await made();
    await section.getByLabel(`${name} from the test data`).fill("1");
    seen.file = await section.locator("input[type=file]").inputValue();
    seen.test = await made();
    return seen;
  },
  async texts() {
    const page = await open();
    const [label, texts] = JSON.parse(file);
    const section = page.locator("#generate");
    await section.getByLabel("How many").fill("2");
    const seen = [];
    for (const text of texts) {
      await section.getByLabel(label, { exact: false }).last().fill(text);
      await press(page, "generate", "Generate");
      seen.push({ status: await page.textContent("#status"), samples: await images(page, "generate") });
    }
    return { seen };
  },
  async nucleus() {
    const page = await open();
    const input = page.locator("#complete").getByLabel("Top p", { exact: true });
    const rule = async (value) => {
      await input.fill(value);
      await press(page, "complete", "Complete");
      return input.evaluate((field) => field.validationMessage);
    };
    return { zero: await rule("0"), large: await rule("1.5"), small: await rule("0.01"), status: await page.textContent("#status") };
  },
  async kinds() {
    const page = await open();
    const ready = await page.evaluate(() => document.body.dataset.ready);
    await press(page, "generate", "Generate");
    return {
      ready, status: await page.textContent("#status"), samples: await images(page, "generate"),
      sections: await page.$$eval("section:not([hidden])", (all) => all.map((section) => section.id)),
      texts: await page.$$eval("#generate .made pre", (all) => all.map((text) => text.textContent)),
    };
  },
  async look() {
    const seen = {};
    for (const [name, viewport] of Object.entries({ phone: { width: 360, height: 740 }, desktop: { width: 1280, height: 900 } })) {
      for (const colorScheme of ["light", "dark"]) {
        const page = await open({ viewport, colorScheme });
        seen[`${name} ${colorScheme}`] = await page.evaluate(() => ({
          wide: document.scrollingElement.scrollWidth - innerWidth,
          ground: getComputedStyle(document.body).backgroundColor,
          unlabelled: [...document.querySelectorAll("input, select, textarea")].filter((field) => !field.labels.length).length,
          unnamed: [...document.querySelectorAll("canvas")].filter((canvas) => !canvas.getAttribute("aria-label")).length,
        }));
        if (file) await page.screenshot({ path: `${file}/${name}-${colorScheme}.png`, fullPage: true });
      }
    }
    return seen;
  },
  async status() {
    const page = await open();
    return { status: await page.textContent("#status"), ready: await page.evaluate(() => document.body.dataset.ready) };
  },
};

const seen = await SCENARIOS[scenario]();
await browser.close();
console.log(JSON.stringify({ ...seen, said }));
