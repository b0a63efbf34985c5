// The pages of one-time keys: every page at a width and in a language, and all of them in use.
import { dialogFromKeyboard, hold, look, reader, tabs } from "./browser.mjs";

/** What each page must say, whatever the data. */
const SAYS = {
  en: { tokens: ["Tokens", "Keys"], tries: ["Tries"], policy: ["accepts a key up to", "Each change is an entry"], import: ["Which tokens of another product", "Try without changing"] },
  ko: { tokens: ["토큰"], tries: ["시도"], policy: ["정책", "항목으로 남습니다"], import: ["다른 제품", "바꾸지 않고 시험"] },
  ja: { tokens: ["トークン"], tries: ["試行"], policy: ["ポリシー", "エントリが残ります"], import: ["他の製品", "変更せずに試す"] },
};

/** Every page; `open` goes to a path, `picture` checks it and takes its picture. */
export async function pagesOfKeys({ open, picture, language, page }) {
  const says = SAYS[language];
  for (const part of ["tokens", "tries", "policy", "import"]) {
    await open(`/keys/${part}`);
    await page.locator("h1").first().waitFor({ timeout: 30_000 });
    await picture(`keys-${part}`, says[part]);
  }
}

const TABLE = "login id,secret,type,digits,period,serial\nmoved.%,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ,totp,6,30,\n,GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ,totp,6,30,A-1\nbroken,GEZD,totp,6,30,\n";

/** A person is enrolled, renewed, given recovery codes and revoked; the policy is changed; a table is moved in. */
export async function useKeys({ browser, url, state, customer, outdir }) {
  const { context, page, where } = await reader(browser, { size: "wide", language: "en", state });
  const seen = { page, where, outdir };
  const mark = Date.now().toString(36);
  const dialog = page.locator("dialog[open]");
  const press = (name) => page.getByRole("button", { name, exact: true }).last().click();
  const kept = async () => {
    await dialog.getByRole("button", { name: "I have it" }).click();
    await page.locator("dialog").waitFor({ state: "detached", timeout: 15_000 });
  };
  await page.goto(`${url}/keys/tokens?customer=${customer}&lang=en`);
  await page.locator("h1").waitFor({ timeout: 30_000 });
  await tabs({ page, where: `tokens of keys (${where})` });
  await dialogFromKeyboard({ ...seen, opener: page.getByRole("button", { name: "Enrol a person" }), file: "keys-enrol" });
  await press("Enrol a person");
  const fill = async (values) => {
    for (const [label, value] of Object.entries(values)) await dialog.getByLabel(label, { exact: true }).fill(value);
    await dialog.locator("button[type=submit]").click();
  };
  await fill({ "Login id": `k.${mark}`, Phone: "010-1234-5678", "Cycle in seconds": "2" });
  await dialog.locator("[aria-invalid=true]").waitFor({ timeout: 15_000 });
  await look({ ...seen, file: "keys-enrol-refused", says: ["3 to 60"], full: false });
  await fill({ "Cycle in seconds": "30" });
  await dialog.locator("svg.qr").waitFor({ timeout: 15_000 });
  await look({ ...seen, file: "keys-enrolled", says: ["shown this once"], full: false });
  await kept();
  await look({ ...seen, file: "keys-token", says: [`k.${mark}`, "can use this token", "Its tries"], dark: "picture" });
  await press("Recovery codes");
  await dialog.locator("button[type=submit]").click();
  await dialog.locator(".recovery-codes").waitFor({ timeout: 15_000 });
  await look({ ...seen, file: "keys-codes", says: ["Each is good once"], full: false });
  await kept();
  await press("New secret");
  await dialog.locator("button[type=submit]").click();
  await dialog.locator("svg.qr").waitFor({ timeout: 15_000 });
  await kept();
  await press("Revoke");
  await dialog.locator("button[type=submit]").click();
  await page.locator("dialog").waitFor({ state: "detached", timeout: 15_000 });
  await page.getByText("was revoked").first().waitFor({ timeout: 15_000 });

  await page.goto(`${url}/keys/policy?customer=${customer}&lang=en`);
  await page.getByRole("button", { name: /^Change/ }).click();
  await dialog.locator("[name=ahead_s]").fill("4");
  await dialog.locator("button[type=submit]").click();
  await page.locator("dialog").waitFor({ state: "detached", timeout: 15_000 });
  await look({ ...seen, file: "keys-policy-changed", says: ["4 s"] });

  await page.goto(`${url}/keys/import?customer=${customer}&lang=en`);
  await page.locator("input[type=file]").setInputFiles({ name: "tokens.csv", mimeType: "text/csv", buffer: Buffer.from(TABLE.replaceAll("%", mark)) });
  await page.getByRole("button", { name: "Try without changing anything" }).click();
  await page.getByText("What the file holds").waitFor({ timeout: 15_000 });
  await look({ ...seen, file: "keys-import-tried", says: ["can come", "cannot be taken"] });
  await page.getByRole("button", { name: /^Take \d/ }).click();
  await page.getByText("The tokens are in.").waitFor({ timeout: 15_000 });
  await look({ ...seen, file: "keys-import-done", says: ["came to"] });
  hold(where, "what was moved in is offered once more", (await page.getByRole("button", { name: /^Take \d/ }).count()) === 0);
  await context.close();
}
