// The accounts' pages in use: making, refusing, showing once, taking away, and what a narrower role does not see.
import { dialogFromKeyboard, hold, look, reader, tabs } from "./browser.mjs";

/** Unlike any name of an earlier look at the same centre. */
const mark = Date.now().toString(36);

const button = (page, name) => page.getByRole("button", { name, exact: true });
const dialog = (page) => page.locator("dialog[open]");
const submit = (page) => dialog(page).locator("button[type=submit]").click();
const closed = (page) => page.locator("dialog").waitFor({ state: "detached", timeout: 15_000 });
const row = (page, name) => page.locator("tbody tr", { hasText: name });

export async function useAccounts({ browser, url, state, customer, outdir, signIn }) {
  const { context, page, where } = await reader(browser, { size: "wide", language: "en", state });
  const at = (path) => page.goto(`${url}${path}${path.includes("?") ? "&" : "?"}lang=en`);
  const seen = { page, where, outdir };

  await at(`/accounts/customers/${customer}`);
  await button(page, "Change…").waitFor({ timeout: 30_000 });
  await tabs({ page, where: `customer (${where})` });
  await dialogFromKeyboard({ ...seen, opener: button(page, "Change…"), file: "customer-change" });
  await button(page, "Change…").click();
  await dialog(page).getByLabel("Contacts").fill("nobody");
  await submit(page);
  await dialog(page).getByText("is not an e-mail address").waitFor();
  hold(where, "the focus is not at the field that is wrong", await dialog(page).getByLabel("Contacts").evaluate((each) => document.activeElement === each));
  await look({ ...seen, file: "customer-contact-refused", says: ["“nobody” is not"], full: false });
  await dialog(page).getByLabel("Contacts").fill(`clock@example.org, ${mark}@example.org`);
  await submit(page);
  await closed(page);
  await look({ ...seen, file: "customer-changed", says: ["Saved as revision", `${mark}@example.org`] });

  const registrar = `registrar-${mark}`;
  await at("/accounts/staff");
  await button(page, "Add an account").waitFor({ timeout: 30_000 });
  await dialogFromKeyboard({ ...seen, opener: button(page, "Add an account"), file: "staff-add" });
  await button(page, "Add an account").click();
  await dialog(page).getByLabel("Name").fill(registrar);
  await dialog(page).getByLabel("Customer").selectOption(customer);
  await dialog(page).getByLabel("Role").selectOption("registrar");
  await submit(page);
  await dialog(page).getByText("shown once").waitFor({ timeout: 15_000 });
  await page.keyboard.press("Escape");
  hold(where, "Escape puts away what is shown once", (await dialog(page).count()) === 1);
  await look({ ...seen, file: "staff-made", says: ["keeps only its hash", registrar], full: false });
  const password = await dialog(page).locator("code").first().innerText();
  await button(page, "I have it").click();
  await closed(page);
  await row(page, registrar).waitFor();
  await row(page, registrar).getByRole("button", { name: /^Disable/ }).click();
  await submit(page);
  await closed(page);
  await row(page, registrar).getByRole("button", { name: /^Enable/ }).click();
  await submit(page);
  await closed(page);

  await at(`/accounts/people?customer=${customer}`);
  await button(page, "Add a person").click();
  const person = `p.${mark}`;
  const fill = async (values) => {
    for (const [label, value] of Object.entries(values)) await dialog(page).getByLabel(label, { exact: true }).fill(value);
    await submit(page);
  };
  const good = { "Login id": person, Password: "a sentence to remember", Birthday: "1990-05-17", Phone: "010-1234-5678" };
  for (const [label, value] of [["Login id", "two words"], ["Password", "short"], ["Phone", "12"]]) {
    await fill({ ...good, [label]: value });
    const field = dialog(page).getByLabel(label, { exact: true });
    await dialog(page).locator("[aria-invalid=true]").waitFor({ timeout: 15_000 });
    hold(where, `the refusal of "${label}" is not said at its field`, (await field.getAttribute("aria-invalid")) === "true");
  }
  await look({ ...seen, file: "person-refused", says: ["not a phone number"], full: false });
  await fill(good);
  await closed(page);
  await look({ ...seen, file: "person", says: [`${person} may sign in`] });
  await button(page, "Disable").click();
  await submit(page);
  await closed(page);
  await page.getByText(`${person} is disabled`).first().waitFor();
  await button(page, "Erase this person…").click();
  await fill({ [`Type ${person} to go on`]: "somebody else", Reason: "asked for it" });
  await dialog(page).getByText(`That is not ${person}.`).waitFor();
  await look({ ...seen, file: "person-erase", says: ["cannot be undone"], full: false });
  await fill({ [`Type ${person} to go on`]: person });
  await closed(page);
  await look({ ...seen, file: "person-erased", says: ["This person was erased", "The entry of the erasure"] });

  const agent = `db-${mark}`;
  await at("/accounts/codes");
  await button(page, "Make a code").click();
  await dialog(page).getByLabel("Customer").selectOption(customer);
  await fill({ Name: agent });
  await dialog(page).getByText("shown once").waitFor({ timeout: 15_000 });
  await look({ ...seen, file: "code-made", says: ["agent.toml", agent], full: false });
  await button(page, "I have it").click();
  await row(page, agent).getByRole("button", { name: /^Revoke/ }).click();
  await submit(page);
  await closed(page);
  await row(page, agent).waitFor({ state: "detached", timeout: 15_000 });

  const holder = `program-${mark}`;
  await at("/accounts/tokens");
  await button(page, "Make a token").click();
  await fill({ Holder: holder });
  await dialog(page).getByText("Choose at least one.").waitFor();
  await dialog(page).getByLabel("read measurements").check();
  await submit(page);
  await dialog(page).getByText("shown once").waitFor({ timeout: 15_000 });
  await button(page, "I have it").click();
  await row(page, holder).getByRole("button", { name: /^Revoke/ }).click();
  await submit(page);
  await closed(page);
  await look({ ...seen, file: "tokens-revoked", says: [holder, "revoked"] });
  await context.close();

  await asRegistrar({ browser, url, outdir, name: registrar, password, signIn, customer });
}

/** What a registrar may not do is not there, and what is asked for all the same is refused in words. */
async function asRegistrar({ browser, url, outdir, name, password, signIn, customer }) {
  const state = await signIn(name, password, `${password} and more of it`);
  const { context, page, where } = await reader(browser, { size: "phone", language: "en", state });
  const seen = { page, where: `registrar, ${where}`, outdir };
  await page.goto(`${url}/?lang=en`);
  await look({ ...seen, file: "registrar", says: ["Accounts", "People", customer] });
  const shown = await page.locator("nav.pages, nav.parts").allInnerTexts();
  for (const hidden of ["Time", "Staff", "Tokens"]) hold(seen.where, `sees "${hidden}"`, !shown.join(" ").includes(hidden));
  for (const path of ["/accounts/staff", "/log/entries", `/customers/${customer}`]) {
    await page.goto(`${url}${path}?lang=en`);
    await look({ ...seen, file: `registrar${path.replaceAll("/", "-")}`, says: ["This page is not for this account", "registrar"] });
  }
  await page.goto(`${url}/log?lang=en`);
  await look({ ...seen, file: "registrar-log", says: ["Root", "Verifier key"] });
  await context.close();
}
