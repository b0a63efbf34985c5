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

async function typePassword(page) {
  await page.getByLabel("Name").fill(name);
  await page.getByLabel("Password").fill(newPassword);
  await page.keyboard.press("Enter");
}

async function signOut(page) {
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in with a passkey" }).waitFor({ timeout: 30_000 });
}

/** The browser itself gives no passkey, and the page says so. */
async function refusedByBrowser(page) {
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await page.getByText("The browser gave no passkey").waitFor({ timeout: 60_000 });
}

/** A person registers a passkey by a link, and answers a relying party's requests. */
async function asked(page, where) {
  const call = (method, path, body) =>
    page.evaluate(
      async ([how, to, sent]) => (await fetch(to, { method: how, headers: { "content-type": "application/json" }, ...(sent === undefined ? {} : { body: JSON.stringify(sent) }) })).json(),
      [method, path, body],
    );
  const wish = { customer: "demo", login_id: "minsu.kim", password: "long enough for it", birthday: "1990-04-30", phone_no: "01012345678" };
  const person = await call("POST", "/api/v1/people", wish);
  const link = await call("POST", `/api/v1/people/${person.id}/passkeys`);
  await page.goto(`${link.url.replace("#", "?lang=en#")}`);
  await look({ page, where, file: "passkey-link", says: ["Add a passkey"] });
  await page.getByRole("button", { name: "Make a passkey" }).click();
  await page.locator("dialog").getByRole("button", { name: "Make a passkey" }).click();
  await look({ page, where, file: "passkey-link-made", says: ["The passkey is there"] });

  const show = { title: "Release of payment 4711", text: "To: Hanbit Optics\nAmount: 12,400,000 KRW" };
  const ask = (methods) => call("POST", "/api/v1/requests", { customer: "demo", purpose: "signature", login_id: "minsu.kim", methods, show });
  const open = (request) => page.goto(`${url}${request.path.replace("#", "?lang=en#")}`);
  const request = await ask([["passkey"], ["password"]]);
  await open(request);
  await look({ page, where, file: "login", says: ["asks you to agree", "Release of payment 4711", "12,400,000 KRW", "Agree with a passkey", "left"], dark: "picture" });
  hold(where, "the secret stays in the address bar", !page.url().includes("#"));
  await page.reload();
  await look({ page, where, file: "login-again", says: ["Release of payment 4711"] });
  await page.getByLabel("Password").fill("something else entirely");
  await page.keyboard.press("Enter");
  await look({ page, where, file: "login-wrong", says: ["more tries"] });
  await page.getByRole("button", { name: "Agree with a passkey" }).click();
  await look({ page, where, file: "login-done", says: ["You are signed in"] });
  const state = await call("GET", `/api/v1/requests/${request.id}`);
  hold(where, "the relying party learns who it is", state.verdict === "accepted" && state.subject === person.id);

  const cancelled = await ask([["passkey"]]);
  await open(cancelled);
  await page.getByRole("button", { name: "Cancel" }).click();
  await look({ page, where, file: "login-cancelled", says: ["Cancelled."] });
  page.removeAllListeners("console");
  const unknown = cancelled.id.replace(/.$/, (last) => (last === "0" ? "1" : "0"));
  await page.goto(`${url}/login/${unknown}?lang=en#nothing`);
  await look({ page, where, file: "login-unknown", says: ["not open here"] });
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

  // A name is not needed, and a password alone is not enough any more.
  let answer;
  page.on("request", (request) => {
    if (request.url().endsWith("/answers/passkey/finish")) answer = request.postData();
  });
  await signOut(page);
  await look({ page, where, file: "sign-in-passkey", says: ["Sign in with a passkey", "Password"], dark: "picture" });
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await page.locator("nav.pages").waitFor({ timeout: 30_000 });
  await look({ page, where, file: "own-used", says: ["You are signed in as", "a laptop"] });
  hold(where, "the passkey's last use is shown", !(await page.locator("table").innerText()).includes("never"));
  await signOut(page);
  await typePassword(page);
  await look({ page, where, file: "sign-in-second", says: ["The password is right"] });
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await page.locator("nav.pages").waitFor({ timeout: 30_000 });

  // The answer of before, to another question.
  const replayed = await page.evaluate(async (body) => {
    const post = (path, sent) => fetch(path, { method: "POST", headers: { "content-type": "application/json" }, body: sent });
    const begun = await (await post("/api/v1/session/request")).json();
    await post(`/api/v1/requests/${begun.id}/answers/passkey/begin`);
    return (await (await post(`/api/v1/requests/${begun.id}/answers/passkey/finish`, body)).json()).right;
  }, answer);
  hold(where, "an answer that was given before is refused", replayed === false);

  // Nobody verifies who it is; and a page at another address.
  await signOut(page);
  await verified(false);
  await refusedByBrowser(page);
  await verified(true);
  await page.goto(`${url.replace("localhost", "127.0.0.1")}/account?lang=en`);
  await refusedByBrowser(page);

  await page.goto(`${url}/account?lang=en`);
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await page.locator("nav.pages").waitFor({ timeout: 30_000 });
  await page.setViewportSize({ width: 390, height: 844 });
  await look({ page, where, file: "own-phone", says: ["a laptop"] });
  await page.getByRole("button", { name: "Revoke: a laptop" }).click();
  await page.locator("dialog").getByRole("button", { name: "Revoke" }).click();
  await look({ page, where, file: "own-revoked", says: ["revoked"] });
  await signOut(page);
  await page.getByRole("button", { name: "Sign in with a passkey" }).click();
  await look({ page, where, file: "sign-in-revoked", says: ["This passkey is not good here"] });
  await typePassword(page);
  await page.locator("nav.pages").waitFor({ timeout: 30_000 });
  await asked(page, where);
  await context.close();
} catch (error) {
  fail("passkeys", error instanceof Error ? error.message : String(error));
} finally {
  await browser.close();
}
stdout.write(wrong.length === 0 ? "passkeys are as they should be\n" : `${wrong.length} things are wrong\n`);
exit(wrong.length === 0 ? 0 : 1);
