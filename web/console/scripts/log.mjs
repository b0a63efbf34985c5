// The log's pages in use: growth by keyboard, filters in the address bar, an entry's proof, receipts, erasing.
import { join } from "node:path";
import { stdout } from "node:process";
import { dialogFromKeyboard, hold, look, reader, tabs } from "./browser.mjs";

export async function useLog({ browser, url, state, outdir }) {
  const { context, page, where } = await reader(browser, { size: "wide", language: "en", state });
  const seen = { page, where, outdir };
  await page.goto(`${url}/log?lang=en`);
  const plot = page.locator(".graph-box > svg");
  await plot.waitFor({ timeout: 30_000 });
  await plot.focus();
  await page.keyboard.press("Home");
  const first = await page.locator(".readout").innerText();
  await page.keyboard.press("End");
  const last = await page.locator(".readout").innerText();
  hold(where, "the arrow keys do not move the growth graph's cursor", first !== last || (await page.locator(".readout").count()) === 0);
  await page.getByRole("link", { name: "7 d", exact: true }).click();
  await page.waitForURL(/period=7d/);

  await page.getByRole("link", { name: "All entries" }).click();
  await page.waitForURL(/log\/entries/);
  await page.locator("tbody tr").first().waitFor({ timeout: 30_000 });
  await tabs({ page, where: `entries (${where})` });
  await page.getByLabel("Kind").selectOption("clock.state");
  await page.waitForURL(/kind=clock\.state/);
  await look({ ...seen, file: "entries-of-a-kind", says: ["state of the centre’s clock"] });
  await page.goBack();
  await page.waitForURL((address) => !address.searchParams.has("kind"));
  await page.goForward();
  await page.locator("tbody tr a").first().click();
  await page.waitForURL(/log\/entries\/.+/);
  await look({ ...seen, file: "entry-clock-state", says: ["Text, exactly as hashed", "this one itself", "it is the signed one"] });
  await tabs({ page, where: `entry (${where})` });

  for (const [name, ending] of [["Download the receipt", ".tlog-proof"], ["The same as COSE (RFC 9942)", ".cose"]]) {
    const download = page.waitForEvent("download", { timeout: 20_000 });
    await page.getByRole("button", { name }).click();
    const file = await download;
    hold(where, `"${name}" gives ${file.suggestedFilename()}`, file.suggestedFilename().endsWith(ending));
    await file.saveAs(join(outdir, file.suggestedFilename()));
  }
  await page.emulateMedia({ media: "print" });
  await page.pdf({ path: join(outdir, "console-entry-print.pdf"), format: "A4" });
  stdout.write("console-entry-print.pdf\n");
  await page.emulateMedia({ media: "screen" });

  hold(where, "nothing of a clock's state can be erased", (await page.getByRole("button", { name: "Erase fields…" }).count()) === 0);
  await page.goto(`${url}/log/entries?kind=time.enrolment&lang=en`);
  await page.locator("tbody tr a").first().click();
  await dialogFromKeyboard({ ...seen, opener: page.getByRole("button", { name: "Erase fields…" }), file: "erase" });

  await page.goto(`${url}/log/entries/0?lang=en`);
  await look({ ...seen, file: "entry-first", says: ["Entry 0 of the log"], full: false });
  await inTrouble(seen, url);
  page.removeAllListeners("console");
  await page.goto(`${url}/log/entries/01ARZ3NDEKTSV4RRFFQ69G5FAV?lang=en`);
  await look({ ...seen, file: "entry-missing", says: ["There is no entry"], full: false });
  await context.close();
}

/** A log in trouble says so on every page; an operator can go on only by typing how much there is to go on with. */
async function inTrouble({ page, where, outdir }, url) {
  const trouble = "the database holds fewer entries than were signed";
  await page.route("**/api/v1/centre", async (route) => {
    const response = await route.fetch();
    const centre = await response.json();
    await route.fulfill({ response, json: { ...centre, log: { ...centre.log, trouble } } });
  });
  await page.goto(`${url}/centre?lang=en`);
  await look({ page, where, outdir, file: "trouble", says: ["The log is not being signed. The database holds fewer entries than were signed."], dark: "picture", full: false });
  const opener = page.getByRole("button", { name: "Go on with this log" });
  await dialogFromKeyboard({ page, where, outdir, opener, file: "trouble-confirm" });
  await opener.click();
  const dialog = page.locator("dialog[open]");
  await dialog.getByLabel("Type the number of entries").fill("1");
  await dialog.getByLabel("Reason").fill("none");
  await dialog.locator("button[type=submit]").click();
  await dialog.getByText("That is not the number of entries here").waitFor({ timeout: 10_000 });
  await page.unroute("**/api/v1/centre");
}
