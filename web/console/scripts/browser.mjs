// A real browser, and what every page must be in it whatever it shows.
import { join } from "node:path";
import { env, stderr, stdout } from "node:process";
import { chromium } from "playwright-core";

export const SIZES = { wide: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };

export const wrong = [];
export function fail(where, what) {
  wrong.push(`${where}: ${what}`);
  stderr.write(`${where}: ${what}\n`);
}

/** Says so where it does not hold. */
export function hold(where, what, holds) {
  if (!holds) fail(where, what);
}

export function launch() {
  return chromium.launch({
    executablePath: env.CHROMIUM ?? "/usr/bin/chromium",
    args: [
      "--no-sandbox",
      "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
    ],
  });
}

/** A browser of its own: size, colours, language, and the cookies of whoever signed in before. */
export async function reader(browser, { size, language, state }) {
  const context = await browser.newContext({
    viewport: SIZES[size],
    deviceScaleFactor: 1,
    hasTouch: size === "phone",
    colorScheme: "light",
    locale: language,
    timezoneId: "Asia/Seoul",
    ignoreHTTPSErrors: true,
    acceptDownloads: true,
    ...(state === undefined ? {} : { storageState: state }),
  });
  const page = await context.newPage();
  const where = `${size} ${language}`;
  page.on("console", (message) => {
    // What the centre refuses on purpose is an answer, which the browser reports as an error all the same: nobody
    // signed in yet (401), a name that is taken (409), a field that cannot be used (422).
    const expected = /status of (401|409|422)/.test(message.text());
    if (["error", "warning"].includes(message.type()) && !expected) fail(where, message.text());
  });
  page.on("pageerror", (error) => fail(where, String(error)));
  return { context, page, where };
}

/**
 * Waits until the page has nothing more to ask, checks it, and takes its picture. With `dark` it is checked in the
 * dark as well, and with "picture" a picture is taken of that too.
 */
export async function look({ page, where, outdir, file, says, full = true, dark = false }) {
  await page.locator("h1").first().waitFor({ timeout: 30_000 });
  const missing = async () => {
    const text = (await page.locator("body").innerText()).replace(/\s+/g, " ");
    if ((await page.locator(".asking").count()) > 0) return ["what it asks for"];
    return says.filter((each) => !text.includes(each));
  };
  const until = Date.now() + 10_000;
  while ((await missing()).length > 0 && Date.now() < until) await page.waitForTimeout(50);
  for (const each of await missing()) fail(`${file} (${where})`, `does not say "${each}"`);
  for (const each of await page.evaluate(faults)) fail(`${file} (${where})`, each);
  await page.screenshot({ path: join(outdir, `console-${file}.png`), fullPage: full });
  stdout.write(`console-${file}.png\n`);
  if (!dark) return;
  await page.emulateMedia({ colorScheme: "dark" });
  for (const each of await page.evaluate(faults)) fail(`${file} (${where} dark)`, each);
  if (dark === "picture") {
    await page.screenshot({ path: join(outdir, `console-${file}-dark.png`), fullPage: full });
    stdout.write(`console-${file}-dark.png\n`);
  }
  await page.emulateMedia({ colorScheme: "light" });
}

/** Runs in the page: too wide, without a name, or too faint to read (WCAG 2.2 AA). */
function faults() {
  const found = [];
  const excess = document.documentElement.scrollWidth - window.innerWidth;
  if (excess > 0) found.push(`is ${excess} pixels wider than the window`);
  if (document.querySelectorAll("h1").length !== 1) found.push("has not exactly one first line");
  const name = (element) => `<${element.tagName.toLowerCase()} class="${element.getAttribute("class") ?? ""}">`;
  for (const field of document.querySelectorAll("input, select, textarea")) {
    if ((field.labels?.length ?? 0) === 0 && !field.hasAttribute("aria-label")) found.push(`${name(field)} has no label`);
  }
  for (const each of document.querySelectorAll("button, a[href], summary")) {
    if (each.textContent.trim() === "" && !each.hasAttribute("aria-label")) found.push(`${name(each)} says nothing`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((each) => each.id);
  for (const id of new Set(ids.filter((each, at) => ids.indexOf(each) !== at))) found.push(`two elements have the id ${id}`);

  // Moving colours are at their end before they are read.
  for (const animation of document.getAnimations()) animation.finish();
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return canvas.getImageData(0, 0, 1, 1).data;
  };
  const light = ([red, green, blue]) => {
    const part = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(red) + 0.7152 * part(green) + 0.0722 * part(blue);
  };
  const known = new Map();
  const colour = (text) => known.get(text) ?? known.set(text, rgba(text)).get(text);
  const modal = document.querySelector("dialog[open]");
  const walker = document.createTreeWalker(modal ?? document.body, NodeFilter.SHOW_TEXT);
  const seen = new Set();
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (walker.currentNode.data.trim() === "" || element === null || seen.has(element)) continue;
    seen.add(element);
    const style = getComputedStyle(element);
    const box = element.getBoundingClientRect();
    if (!element.checkVisibility() || style.visibility !== "visible" || style.clipPath !== "none" || box.width < 2 || box.height < 2) continue;
    if (element.closest(":disabled, svg, noscript, script, style") !== null) continue;
    let ground = element;
    while (ground !== null && colour(getComputedStyle(ground).backgroundColor)[3] < 255) ground = ground.parentElement;
    const behind = ground === null ? [255, 255, 255] : colour(getComputedStyle(ground).backgroundColor);
    const [a, b] = [light(colour(style.color)), light(behind)].sort((x, y) => y - x);
    const large = parseFloat(style.fontSize) >= 24 || (parseFloat(style.fontSize) >= 18.66 && Number(style.fontWeight) >= 700);
    const contrast = (a + 0.05) / (b + 0.05);
    if (contrast < (large ? 3 : 4.5)) found.push(`"${walker.currentNode.data.trim().slice(0, 30)}" has a contrast of ${contrast.toFixed(1)} only`);
  }
  return found;
}

/** The Tab key goes through everything that can be used, in the order in which it stands. */
export async function tabs({ page, where, most = 40 }) {
  const reachable = await page.evaluate(() => {
    window.scrollTo(0, 0);
    document.activeElement?.blur();
    const all = [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")];
    const shown = all.filter((each) => !each.disabled && each.getClientRects().length > 0 && each.closest("dialog:not([open])") === null);
    shown.forEach((each, at) => each.setAttribute("data-tab", String(at)));
    return shown.length;
  });
  // From the start of the document, wherever the focus was.
  await page.evaluate(() => {
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute("tabindex");
  });
  for (let at = 0; at < Math.min(reachable, most); at += 1) {
    await page.keyboard.press("Tab");
    const here = await page.evaluate(() => document.activeElement?.getAttribute("data-tab"));
    if (here !== String(at)) {
      fail(where, `Tab ${at + 1} goes to ${here ?? "nothing that can be used"}, not to ${at}`);
      return;
    }
  }
}

/** Opens a dialog from the keyboard, sees that the keyboard stays in it, and that Escape leads back to where it was. */
export async function dialogFromKeyboard({ page, where, opener, file, outdir }) {
  await opener.focus();
  await page.keyboard.press("Enter");
  await page.locator("dialog[open]").waitFor({ timeout: 10_000 });
  const inside = () => page.evaluate(() => document.activeElement?.closest("dialog") !== null);
  hold(where, `${file}: the focus does not go into the dialog`, await inside());
  for (const each of await page.evaluate(faults)) fail(`${file} (${where})`, each);
  const fields = await page.locator("dialog :is(button, input, select, textarea, a[href])").count();
  for (let at = 0; at < fields; at += 1) {
    hold(where, `${file}: Tab ${at} leaves the dialog`, await inside());
    await page.keyboard.press("Tab");
  }
  await page.screenshot({ path: join(outdir, `console-${file}.png`) });
  stdout.write(`console-${file}.png\n`);
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached", timeout: 10_000 });
  hold(where, `${file}: Escape does not lead back`, await opener.evaluate((element) => document.activeElement === element));
}
