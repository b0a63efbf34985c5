// What third parties are shown, in use: each page of one customer's period, a link that is made, opened by a stranger and taken back.
import { join } from "node:path";
import { dialogFromKeyboard, hold, look, reader, tabs } from "./browser.mjs";

/** What each page must say, whatever the data. */
const SAYS = {
  en: {
    periods: ["By period", "Servers in this period", "Intervals", "Save as JSON"], trend: ["Allan deviation", "Offsets", "Delays, one way"],
    chain: ["RTS 25", "reference to centre", "all together"], sharing: ["Reports of months", "Make a link"],
  },
  ko: {
    periods: ["기간별", "이 기간의 서버", "구간"], trend: ["앨런 편차", "오프셋 분포"], chain: ["RTS 25", "기준에서 센터까지"],
    sharing: ["월별 보고서", "링크 만들기"],
  },
  ja: {
    periods: ["期間別", "この期間のサーバー", "区間"], trend: ["アラン偏差", "オフセットの分布"], chain: ["RTS 25", "基準からセンターまで"],
    sharing: ["月ごとの報告書", "リンクを作る"],
  },
};

/** Each page at one width and in one language, light and dark. */
export async function pagesOfParties({ page, open, picture, language, customer }) {
  for (const [view, says] of Object.entries(SAYS[language])) {
    await open(`/customers/${customer}/${view}`);
    await page.locator("h2").first().waitFor({ timeout: 60_000 });
    await picture(`party-${view}`, [...says, customer]);
  }
}

export async function useParties({ browser, url, state, customer, outdir }) {
  const { context, page, where } = await reader(browser, { size: "wide", language: "en", state });
  const seen = { page, where, outdir };
  await page.goto(`${url}/customers/${customer}/periods?lang=en`);
  await page.locator(".interval-strip svg").first().waitFor({ timeout: 60_000 });
  await tabs({ page, where: `periods (${where})` });
  for (const rows of await page.locator("details.rows summary").all()) await rows.click();
  await look({ ...seen, file: "party-intervals", says: ["Every interval of"] });
  const download = page.waitForEvent("download", { timeout: 20_000 });
  await page.getByRole("button", { name: "Save as JSON" }).click();
  const file = await download;
  hold(where, `the period is saved as ${file.suggestedFilename()}`, /^angbu-time-[a-z0-9._-]+\.json$/.test(file.suggestedFilename()));
  await file.saveAs(join(outdir, file.suggestedFilename()));
  const before = await page.locator("h1").innerText();
  await page.getByRole("button", { name: "Other days" }).click();
  await page.getByLabel("From the beginning of").fill("2020-01-02");
  await page.getByLabel("To the beginning of").fill("2020-01-01");
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await look({ ...seen, file: "party-backwards", says: ["The end is not after the start"], full: false });
  await page.getByLabel("To the beginning of").fill("2020-01-03");
  await page.getByRole("button", { name: "Show", exact: true }).click();
  await page.waitForURL(/from=2020-01-02/);
  await page.waitForFunction((text) => document.querySelector("h1")?.textContent !== text, before);
  await page.goBack();

  await page.goto(`${url}/customers/${customer}/sharing?lang=en`);
  await page.locator("h2").first().waitFor({ timeout: 30_000 });
  const opener = page.getByRole("button", { name: "Make a link" });
  await dialogFromKeyboard({ ...seen, opener, file: "party-link" });
  await opener.click();
  await page.getByLabel("For whom").fill("A. Auditor");
  // The present month: the one before may lie before the first server was enrolled.
  await page.locator("dialog select[name=month]").selectOption({ index: 0 });
  await page.locator("dialog button[type=submit]").click();
  await page.locator("dialog .copyable").waitFor({ timeout: 120_000 });
  const address = (await page.locator("dialog .copyable").innerText()).match(/https?:\/\/\S+\/share\/\S+/)?.[0];
  hold(where, "a new link is not shown", address !== undefined);
  await page.locator("dialog .actions button").click();
  if (address !== undefined) await strangers({ browser, address, outdir });

  await page.reload();
  await page.getByRole("button", { name: "Take back: A. Auditor" }).first().click();
  await page.locator("dialog button[type=submit]").click();
  await page.locator("dialog").waitFor({ state: "detached", timeout: 20_000 });
  await look({ ...seen, file: "party-taken-back", says: ["taken back"] });
  await context.close();
}

/** Whoever has the link, with no account and no cookie. */
async function strangers({ browser, address, outdir }) {
  for (const [size, language, ask] of [["wide", "en", "Show it"], ["phone", "en", "Show it"], ["phone", "ko", "보기"], ["wide", "ja", "見る"]]) {
    const { context, page, where } = await reader(browser, { size, language });
    const asked = [];
    page.on("request", (request) => request.url().includes("/api/") && asked.push(request.url()));
    await page.goto(`${address}?lang=${language}`);
    await look({ page, where, outdir, file: `share-door-${size}-${language}`, says: [ask], dark: "picture" });
    hold(where, `the address alone asks ${asked.join(", ")}`, asked.length === 0);
    await page.getByRole("button", { name: ask }).click();
    await page.locator("h2").first().waitFor({ timeout: 60_000 });
    await look({ page, where, outdir, file: `share-${size}-${language}`, says: ["angbu verify"], dark: "picture" });
    hold(where, "a cookie is set", (await context.cookies()).length === 0);
    await context.close();
  }
}
