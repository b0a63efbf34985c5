// Looks at the console with a real browser: node scripts/screenshots.mjs URL NAME PASSWORD OUTDIR [NEW_PASSWORD [PARTS]]
//
// Works against `npm run mock` and against a real centre. A one-time password is changed to NEW_PASSWORD on the way
// (by default PASSWORD with "-changed"). PARTS, with commas between them, are what is looked at: a language's pages (en,
// ko, ja), log, accounts, parties, use; all of them by default. Ends 1 when a page logs an error, lacks what it must say, is wider than a
// phone, or cannot be used with the keyboard. CHROMIUM names the browser, /usr/bin/chromium without it.
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { argv, exit, stderr, stdout } from "node:process";
import { useAccounts } from "./accounts.mjs";
import { fail, launch, look as lookAt, reader as readerOf, SIZES, wrong } from "./browser.mjs";
import { pagesOfKeys, useKeys } from "./keys.mjs";
import { useLog } from "./log.mjs";
import { pagesOfParties, useParties } from "./parties.mjs";

const [url, name, password, outdir, newPassword = `${password}-changed`, parts = "en,ko,ja,log,accounts,keys,parties,use"] = argv.slice(2);
const wanted = new Set(parts.split(","));
if (outdir === undefined) {
  stderr.write("usage: node scripts/screenshots.mjs URL NAME PASSWORD OUTDIR [NEW_PASSWORD [PARTS]]\n");
  exit(2);
}

/** What each page must say, whatever the data; the words differ by language only. */
const SAYS = {
  en: {
    overview: ["now"], customer: ["within", "Servers now", "Offset", "Report for this period"], empty: ["angbu enrol agent"],
    log: ["Root", "Verifier key", "Growth", "Witnesses", "Entries by kind", "angbu verify"], entries: ["newest first"],
    entry: ["of the log:", "it is the signed one", "curl"], centre: ["Stratum", "Answered", "Version"], operations: ["the last 7 days", "What ran when", "Calibrations"], servers: ["servers", "Customer"], declared: "declare",
    accounts: { customers: ["This centre serves"], people: ["Accounts"], staff: ["can sign in here"], machines: ["joined"], codes: ["within 24 hours"], tokens: ["scopes allow"] },
    account: ["may be off by", "Each change is an entry", "Webhooks", "Send a test", "Time zone"], incidents: ["Incidents", "Messages"], messages: ["waiting", "by mail and by webhook"],
  },
  ko: {
    overview: ["현재"], customer: ["허용 범위", "현재 서버", "오프셋"], empty: ["angbu enrol agent"],
    log: ["검증 키", "증가", "증인", "종류별 항목"], entries: ["최근 것부터"], entry: ["로그의 항목", "서명된 루트와 같습니다"], centre: ["스트래텀"], operations: ["가동 이력", "교정"], servers: ["서버", "고객"], declared: "선언",
    accounts: { customers: ["고객은"], people: ["계정"], staff: ["로그인할 수 있는 계정"], machines: ["등록된 장비"], codes: ["24시간"], tokens: ["토큰으로"] },
    account: ["허용 범위", "항목으로 남습니다", "웹훅", "시간대"], incidents: ["사건"], messages: ["대기", "메일과 웹훅"],
  },
  ja: {
    overview: ["現在"], customer: ["許容範囲", "現在のサーバー", "オフセット"], empty: ["angbu enrol agent"],
    log: ["検証鍵", "増加", "証人", "種類別のエントリ"], entries: ["新しい順"], entry: ["ログのエントリ", "署名されたルートと同じです"], centre: ["ストラタム"], operations: ["稼働の履歴", "校正"], servers: ["サーバー", "顧客"], declared: "宣言",
    accounts: { customers: ["このセンターの顧客"], people: ["アカウント"], staff: ["ログインできるアカウント"], machines: ["登録された機器"], codes: ["24時間以内"], tokens: ["トークンを使い"] },
    account: ["許容範囲", "エントリが残ります", "Webhook", "タイムゾーン"], incidents: ["インシデント"], messages: ["待機", "Webhook"],
  },
};

await mkdir(outdir, { recursive: true });
const browser = await launch();
const reader = (as) => readerOf(browser, as);
const look = (what) => lookAt({ outdir, ...what });

async function signIn(as, given, changed, pictures = false) {
  const { context, page, where } = await reader({ size: "wide", language: "en" });
  await page.goto(`${url}/?lang=en`);
  await page.getByLabel("Name").fill(as);
  if (pictures) {
    await page.getByLabel("Password").fill("a wrong password");
    await page.keyboard.press("Enter");
    await look({ page, where, file: "sign-in-refused", says: ["Check both"], dark: "picture" });
  }
  const taken = await tryPassword(page, where, given, changed, pictures);
  if (!taken && (await page.locator("input[name=name]").count()) > 0) await tryPassword(page, where, changed, changed, false);
  await page.locator("nav.pages").waitFor({ timeout: 30_000 });
  const state = await context.storageState();
  await context.close();
  return state;
}

/** True when the password was taken, whether or not it had to be changed on the way. */
async function tryPassword(page, where, text, changed, pictures) {
  await page.getByLabel("Password").fill(text);
  await page.keyboard.press("Enter");
  const next = await Promise.race([
    page.locator("nav.pages").waitFor().then(() => "in"),
    page.locator("input[name=new]").waitFor().then(() => "change"),
    page.waitForTimeout(20_000).then(() => "refused"),
  ]);
  if (next !== "change") return next === "in";
  if (pictures) {
    await page.locator("input[name=new]").fill("short");
    await page.locator("input[name=repeat]").fill("short");
    await page.keyboard.press("Enter");
    await look({ page, where, file: "password", says: ["fewer than 12"] });
  }
  await page.locator("input[name=new]").fill(changed);
  await page.locator("input[name=repeat]").fill(changed);
  await page.keyboard.press("Enter");
  await page.locator("nav.pages").waitFor({ timeout: 30_000 });
  return true;
}

/** Every page at one width and in one language, light and dark. */
async function pages({ size, language, state, customers }) {
  const suffix = `${size}-${language}`;
  const { context, page, where } = await reader({ size, language, state });
  const says = SAYS[language];
  const open = async (path) => {
    const address = `${path}?lang=${language}`;
    if (language === "en") return page.goto(`${url}${address}`);
    // Each page was loaded by itself in English; the others are gone to as their links go, which is much faster.
    return page.evaluate((to) => {
      history.pushState(null, "", to);
      dispatchEvent(new PopStateEvent("popstate"));
    }, address);
  };
  const picture = (file, words) => look({ page, where, file: `${file}-${suffix}`, says: words, dark: language === "en" ? "picture" : "check" });
  const declared =
    (await page.goto(`${url}/?lang=${language}`)) !== null &&
    (await page.evaluate(async () => (await (await fetch("/api/v1/centre")).json()).clock.verdict)) === "declared"
      ? [says.declared]
      : [];
  await picture("overview", [...says.overview, ...declared]);
  for (const customer of customers) {
    await open(`/customers/${customer.name}`);
    if (customer.agents === 0) {
      await picture(customer.name, [...says.empty, `--customer ${customer.name}`]);
      continue;
    }
    await page.locator(".graph-box svg .data, .notice.is-empty").first().waitFor({ state: "attached", timeout: 30_000 });
    await page.locator(".connection.is-live").waitFor({ timeout: 30_000 });
    await picture(customer.name, [...says.customer, customer.name, ...declared]);
  }
  if (suffix === "wide-en") await everyAgent(page, where);
  const served = customers.find((customer) => customer.agents > 1) ?? customers.find((customer) => customer.agents > 0);
  if (served !== undefined) await pagesOfParties({ page, open, picture, language, customer: served.name });
  await pagesOfKeys({ page, open, picture, language });
  await open("/log");
  await page.locator(".graph-box > svg").waitFor({ timeout: 30_000 });
  await picture("log", says.log);
  await open("/log/entries");
  await page.locator("tbody tr").first().waitFor({ timeout: 30_000 });
  await picture("entries", says.entries);
  await page.locator("tbody tr a").last().click();
  await picture("entry", says.entry);
  for (const [part, words] of Object.entries(says.accounts)) {
    await open(`/accounts/${part}`);
    await picture(part, words);
  }
  await open(`/accounts/customers/${customers[0].name}`);
  await picture("account", [...says.account, customers[0].name]);
  for (const part of ["incidents", "messages"]) {
    await open(`/${part}`);
    await picture(part, says[part]);
  }
  await open("/centre");
  await picture("centre", [...says.centre, ...declared]);
  await open("/centre/operations");
  await page.locator("#calibrations .lead").waitFor({ timeout: 30_000 });
  await picture("operations", says.operations);
  await open("/servers");
  await page.locator("tbody tr").first().waitFor({ timeout: 30_000 });
  await picture("servers", says.servers);
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
  const { context, page, where } = await reader({ size: "wide", language: "en", state });
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
  const state = await signIn(name, password, newPassword, true);
  const { context, page } = await reader({ size: "wide", language: "en", state });
  await page.goto(`${url}/?lang=en`);
  const { customers } = await page.evaluate(async () => (await fetch("/api/v1/customers")).json());
  await context.close();
  for (const language of ["en", "ko", "ja"].filter((each) => wanted.has(each))) {
    // Two widths at once: the browser waits more than it works.
    await Promise.all(Object.keys(SIZES).map((size) => pages({ size, language, state, customers })));
  }
  if (wanted.has("log")) await useLog({ browser, url, state, outdir });
  const served = customers.find((customer) => customer.agents > 0);
  if (served === undefined) fail("customers", "none has a server, so the graph was not seen");
  else {
    if (wanted.has("accounts")) await useAccounts({ browser, url, state, customer: served.name, outdir, signIn });
    if (wanted.has("keys")) await useKeys({ browser, url, state, customer: served.name, outdir });
    if (wanted.has("parties")) await useParties({ browser, url, state, customer: served.name, outdir });
    if (wanted.has("use")) await use(state, served);
  }
} catch (error) {
  fail("screenshots", error instanceof Error ? error.message : String(error));
} finally {
  await browser.close();
}
stdout.write(wrong.length === 0 ? "all pages are as they should be\n" : `${wrong.length} things are wrong\n`);
exit(wrong.length === 0 ? 0 : 1);
