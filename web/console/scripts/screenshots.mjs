// Looks at the console with a real browser: node scripts/screenshots.mjs URL NAME PASSWORD OUTDIR [NEW_PASSWORD]
//
// Works against `npm run mock` and against a real centre. A one-time password is changed to NEW_PASSWORD on the way
// (by default PASSWORD with "-changed"). Ends 1 when a page logs an error, lacks what it must say, is wider than a
// phone, or cannot be used with the keyboard. CHROMIUM names the browser, /usr/bin/chromium without it.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { argv, env, exit, stderr, stdout } from "node:process";
import { chromium } from "playwright-core";

const [url, name, password, outdir, newPassword = `${password}-changed`] = argv.slice(2);
if (outdir === undefined) {
  stderr.write("usage: node scripts/screenshots.mjs URL NAME PASSWORD OUTDIR [NEW_PASSWORD]\n");
  exit(2);
}

const SIZES = { wide: { width: 1280, height: 900 }, phone: { width: 390, height: 844 } };

/** What each page must say, whatever the data; the words differ by language only. */
const SAYS = {
  en: { "sign-in": ["Sign in"], overview: ["now"], customer: ["within", "Servers now", "Offset", "Report for this period"], log: ["Root", "Verifier key", "angbu verify"], centre: ["Stratum", "Answered", "Version"], empty: ["angbu enrol agent"], declared: "declare" },
  ko: { "sign-in": ["로그인"], overview: ["현재"], customer: ["허용 범위", "현재 서버", "오프셋"], log: ["검증 키"], centre: ["스트래텀"], empty: ["angbu enrol agent"], declared: "선언" },
  ja: { "sign-in": ["ログイン"], overview: ["現在"], customer: ["許容範囲", "現在のサーバー", "オフセット"], log: ["検証鍵"], centre: ["ストラタム"], empty: ["angbu enrol agent"], declared: "宣言" },
};

const wrong = [];
const fail = (where, what) => {
  wrong.push(`${where}: ${what}`);
  stderr.write(`${where}: ${what}\n`);
};

await mkdir(outdir, { recursive: true });
const browser = await chromium.launch({
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

/** A browser of its own: size, colours, language, and the cookies of whoever signed in before. */
async function reader({ size, dark, language, state }) {
  const context = await browser.newContext({
    viewport: SIZES[size],
    deviceScaleFactor: size === "phone" ? 2 : 1,
    hasTouch: size === "phone",
    colorScheme: dark ? "dark" : "light",
    locale: language,
    timezoneId: "Asia/Seoul",
    ignoreHTTPSErrors: true,
    ...(state === undefined ? {} : { storageState: state }),
  });
  const page = await context.newPage();
  const where = `${size} ${dark ? "dark" : "light"} ${language}`;
  page.on("console", (message) => {
    // That nobody is signed in yet is an answer, which the browser reports as an error all the same.
    const expected = /status of 401/.test(message.text());
    if (["error", "warning"].includes(message.type()) && !expected) fail(where, message.text());
  });
  page.on("pageerror", (error) => fail(where, String(error)));
  return { context, page, where };
}

/** Waits until the page has nothing more to ask, checks it, and takes its picture. */
async function look({ page, where, file, says, full = true }) {
  await page.locator("h1").waitFor({ timeout: 30_000 });
  const missing = async () => {
    const text = (await page.locator("body").innerText()).replace(/\s+/g, " ");
    return says.filter((each) => !text.includes(each));
  };
  const until = Date.now() + 10_000;
  while ((await missing()).length > 0 && Date.now() < until) await page.waitForTimeout(100);
  for (const each of await missing()) fail(`${file} (${where})`, `does not say "${each}"`);
  const excess = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  if (excess > 0) fail(`${file} (${where})`, `is ${excess} pixels wider than the window`);
  await page.screenshot({ path: join(outdir, `console-${file}.png`), fullPage: full });
  stdout.write(`console-${file}.png\n`);
}

async function signIn() {
  const { context, page, where } = await reader({ size: "wide", dark: false, language: "en" });
  await page.goto(`${url}/?lang=en`);
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill("a wrong password");
  await page.keyboard.press("Enter");
  await look({ page, where, file: "sign-in-refused", says: ["Check both"] });
  const changed = await tryPassword(page, where, password);
  if (!changed && (await page.locator("input[name=name]").count()) > 0) await tryPassword(page, where, newPassword);
  await page.locator("nav.pages").waitFor({ timeout: 30_000 });
  const state = await context.storageState();
  await context.close();
  return state;
}

/** True when the password was taken, whether or not it had to be changed on the way. */
async function tryPassword(page, where, text) {
  await page.getByLabel("Password").fill(text);
  await page.keyboard.press("Enter");
  const next = await Promise.race([
    page.locator("nav.pages").waitFor().then(() => "in"),
    page.locator("input[name=new]").waitFor().then(() => "change"),
    page.waitForTimeout(20_000).then(() => "refused"),
  ]);
  if (next !== "change") return next === "in";
  await page.locator("input[name=new]").fill("short");
  await page.locator("input[name=repeat]").fill("short");
  await page.keyboard.press("Enter");
  await look({ page, where, file: "password", says: ["fewer than 12"] });
  await page.locator("input[name=new]").fill(newPassword);
  await page.locator("input[name=repeat]").fill(newPassword);
  await page.keyboard.press("Enter");
  await page.locator("nav.pages").waitFor({ timeout: 30_000 });
  return true;
}

async function pages({ size, dark, language, state, customers }) {
  const suffix = `${size}-${dark ? "dark" : "light"}-${language}`;
  const { context, page, where } = await reader({ size, dark, language, state });
  const says = SAYS[language];
  const declared = async () =>
    (await page.evaluate(async () => (await (await fetch("/api/v1/centre")).json()).clock.verdict)) === "declared" ? [says.declared] : [];
  await page.goto(`${url}/?lang=${language}`);
  await look({ page, where, file: `overview-${suffix}`, says: [...says.overview, ...(await declared())] });
  for (const customer of customers) {
    await page.goto(`${url}/customers/${customer.name}?lang=${language}`);
    if (customer.agents === 0) {
      await look({ page, where, file: `${customer.name}-${suffix}`, says: [...says.empty, `--customer ${customer.name}`] });
      continue;
    }
    await page.locator(".graph-box svg .data, .notice.is-empty").first().waitFor({ state: "attached", timeout: 30_000 });
    await page.locator(".connection.is-live").waitFor({ timeout: 30_000 });
    await look({ page, where, file: `${customer.name}-${suffix}`, says: [...says.customer, customer.name, ...(await declared())] });
  }
  if (suffix === "wide-light-en") await everyAgent(page, where);
  await page.goto(`${url}/log?lang=${language}`);
  await look({ page, where, file: `log-${suffix}`, says: says.log });
  await page.goto(`${url}/centre?lang=${language}`);
  await look({ page, where, file: `centre-${suffix}`, says: [...says.centre, ...(await declared())] });
  await context.close();
}

/** Each server's own page, a few of them. */
async function everyAgent(page, where) {
  const { agents } = await page.evaluate(async () => (await fetch("/api/v1/time/agents")).json());
  for (const agent of agents.slice(0, 6)) {
    await page.goto(`${url}/customers/${agent.customer}?lang=en&agent=${agent.name}&scale=data`);
    await page.locator(".graph-box > svg").waitFor({ timeout: 30_000 });
    for (const rows of await page.locator("details.rows summary").all()) await rows.click();
    await look({ page, where, file: `${agent.customer}-${agent.name}`, says: [`${agent.name}, over time`, "against the centre"] });
  }
}

/** What a picture does not show: keyboard, history, live figures, the report, and a connection that is lost. */
async function use(state, customer) {
  const { context, page, where } = await reader({ size: "wide", dark: false, language: "en", state });
  await page.goto(`${url}/customers/${customer.name}?lang=en`);
  await page.locator(".graph-box svg .data").first().waitFor({ state: "attached", timeout: 30_000 });

  await page.keyboard.press("Tab");
  if ((await page.evaluate(() => document.activeElement?.className)) !== "skip") fail(where, "the first Tab does not reach the skip link");
  await page.keyboard.press("Enter");
  if ((await page.evaluate(() => document.activeElement?.id)) !== "content") fail(where, "the skip link does not lead to the content");

  const plot = page.locator(".graph-box > svg");
  await plot.focus();
  await page.keyboard.press("Home");
  const first = await page.locator(".readout").innerText();
  await page.keyboard.press("ArrowRight");
  const second = await page.locator(".readout").innerText();
  if (first === second) fail(where, "the right arrow key does not move the graph's cursor");
  if ((await page.locator(".readout").getAttribute("aria-live")) !== "polite") fail(where, "the read-out is not announced");
  await page.screenshot({ path: join(outdir, "console-keyboard.png") });
  stdout.write("console-keyboard.png\n");

  await page.getByRole("link", { name: "24 h", exact: true }).click();
  await page.waitForURL(/period=24h/);
  await page.waitForFunction(() => document.querySelector(".sentence")?.textContent.includes("24 hours"));
  await look({ page, where, file: "24h", says: ["the last 24 hours"] });
  await page.goBack();
  await page.waitForFunction(() => document.querySelector(".sentence")?.textContent.includes("15 minutes"));

  await page.getByRole("button", { name: "Custom" }).click();
  await page.getByRole("button", { name: "Show" }).click();
  await page.waitForURL(/from=.*to=/);
  await look({ page, where, file: "from-to", says: [" to "], full: false });
  await page.goBack();

  const download = page.waitForEvent("download", { timeout: 60_000 });
  await page.getByRole("button", { name: "Report for this period" }).click();
  const report = await download;
  await report.saveAs(join(outdir, report.suggestedFilename()));
  await look({ page, where, file: "report", says: ["angbu verify angbu-"], full: false });

  await page.emulateMedia({ media: "print" });
  await page.pdf({ path: join(outdir, "console-print.pdf"), format: "A4" });
  await page.screenshot({ path: join(outdir, "console-print.png"), fullPage: true });
  await page.emulateMedia({ media: "screen" });

  // A new page, since a stream that is already open outlives the browser's going offline. What the browser says of
  // the calls that are cut from here on is not the console's doing.
  page.removeAllListeners("console");
  await page.route("**/api/v1/time/stream**", (route) => route.abort());
  await page.reload();
  await page.locator(".connection.is-polling").waitFor({ timeout: 30_000 });
  stdout.write("polling is shown\n");
  await page.route("**/api/**", (route) => route.abort());
  await page.locator(".connection.is-lost").waitFor({ timeout: 30_000 });
  await page.setViewportSize(SIZES.phone);
  await look({ page, where, file: "lost", says: ["No answer from the centre since"], full: false });
  await page.unroute("**/api/**");
  await page.unroute("**/api/v1/time/stream**");
  await page.locator(".connection.is-live").waitFor({ timeout: 60_000 });
  stdout.write("the connection comes back by itself\n");
  await context.close();
}

try {
  const state = await signIn();
  const { context, page } = await reader({ size: "wide", dark: false, language: "en", state });
  await page.goto(`${url}/?lang=en`);
  const { customers } = await page.evaluate(async () => (await fetch("/api/v1/customers")).json());
  await context.close();
  for (const [size, dark, language] of [
    ["wide", false, "en"],
    ["wide", true, "en"],
    ["phone", false, "en"],
    ["phone", true, "en"],
    ["wide", false, "ko"],
    ["phone", true, "ko"],
    ["wide", true, "ja"],
    ["phone", false, "ja"],
  ]) {
    await pages({ size, dark, language, state, customers });
  }
  const served = customers.find((customer) => customer.agents > 0);
  if (served === undefined) fail("customers", "none has a server, so the graph was not seen");
  else await use(state, served);
} catch (error) {
  fail("screenshots", error instanceof Error ? error.message : String(error));
} finally {
  await browser.close();
}
stdout.write(wrong.length === 0 ? "all pages are as they should be\n" : `${wrong.length} things are wrong\n`);
exit(wrong.length === 0 ? 0 : 1);
