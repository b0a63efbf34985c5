// Uses passkeys in a real browser, with an authenticator that the browser itself plays: node scripts/passkeys.mjs URL NAME
// PASSWORD OUTDIR NEW_PASSWORD
//
// URL names the site's host, since no passkey is for an IP address. Ends 1 when something is not as it should be.
import { mkdir } from "node:fs/promises";
import { argv, exit, stdout } from "node:process";
import { fail, hold, launch, look as lookAt, reader as readerOf, wrong } from "./browser.mjs";

const [url, name, password, outdir, newPassword] = argv.slice(2);
await mkdir(outdir, { recursive: true });
const browser = await launch();
const look = (what) => lookAt({ outdir, ...what });

/** A browser with an authenticator in it that touches itself. */
async function equipped(size = "wide") {
  const { context, page, where } = await readerOf(browser, { size, language: "en" });
  const devtools = await context.newCDPSession(page);
  await devtools.send("WebAuthn.enable");
  const options = { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true };
  const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", { options });
  const verified = (isUserVerified) => devtools.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified });
  return { context, page, where, devtools, authenticatorId, verified };
}

async function signInByPassword(page) {
  await page.goto(`${url}/account?lang=en`);
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(password);
  await page.keyboard.press("Enter");
  await page.locator("input[name=new]").fill(newPassword);
  await page.locator("input[name=repeat]").fill(newPassword);
  await page.keyboard.press("Enter");
  await page.locator("nav.pages").waitFor({ timeout: 30_000 });
}

async function add(page, label) {
  await page.getByRole("button", { name: "Add a passkey" }).click();
  await page.getByLabel("Name of the passkey").fill(label);
  await page.getByRole("button", { name: "Make a passkey" }).click();
}

try {
  const { context, page, where, devtools, authenticatorId, verified } = await equipped();
  await signInByPassword(page);
  await look({ page, where, file: "own-none", says: ["You are signed in as", "There is no passkey yet"] });

  // Nobody verifies who it is: the browser gives nothing, and the page says so.
  await verified(false);
  await add(page, "nobody's");
  await page.locator("dialog .mistake").waitFor({ timeout: 60_000 });
  await page.getByRole("button", { name: "Cancel" }).click();
  await verified(true);

  await add(page, "a laptop");
  await page.getByRole("rowheader", { name: "a laptop" }).waitFor({ timeout: 30_000 });
  const kept = (await devtools.send("WebAuthn.getCredentials", { authenticatorId })).credentials;
  hold(where, "the authenticator keeps one passkey that is found without a name", kept.length === 1 && kept[0].isResidentCredential);
  await look({ page, where, file: "own-one", says: ["a laptop", "never"], dark: "picture" });

  // The same device again is told apart.
  await add(page, "twice");
  await page.locator("dialog .mistake").waitFor({ timeout: 60_000 });
  await look({ page, where, file: "own-twice", says: ["has a passkey for this account already"] });
  await page.getByRole("button", { name: "Cancel" }).click();

  await page.setViewportSize({ width: 390, height: 844 });
  await look({ page, where, file: "own-phone", says: ["a laptop"] });
  await page.getByRole("button", { name: "Revoke: a laptop" }).click();
  await page.locator("dialog").getByRole("button", { name: "Revoke" }).click();
  await look({ page, where, file: "own-revoked", says: ["revoked"] });
  await context.close();
} catch (error) {
  fail("passkeys", error instanceof Error ? error.message : String(error));
} finally {
  await browser.close();
}
stdout.write(wrong.length === 0 ? "passkeys are as they should be\n" : `${wrong.length} things are wrong\n`);
exit(wrong.length === 0 ? 0 : 1);
