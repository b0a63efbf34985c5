import { expect, test } from "vitest";
import { accountsPath, entryPath, PARTS, routeOf } from "./router";

test.each([
  ["/", { page: "overview" }],
  ["/customers/demo", { page: "customer", customer: "demo" }],
  ["/customers/a%20b", { page: "customer", customer: "a b" }],
  ["/customers", { page: "missing" }],
  ["/log", { page: "log" }],
  ["/log/entries", { page: "entries" }],
  ["/log/entries/01KAG", { page: "entry", entry: "01KAG" }],
  ["/log/witnesses", { page: "missing" }],
  ["/accounts", { page: "accounts", part: undefined, one: undefined }],
  ["/accounts/people/per_1", { page: "accounts", part: "people", one: "per_1" }],
  ["/accounts/tokens/tok_1", { page: "missing" }],
  ["/accounts/nobody", { page: "missing" }],
  ["/login/req_1", { page: "login", request: "req_1" }],
  ["/login", { page: "missing" }],
  ["/account", { page: "own" }],
  ["/passkeys", { page: "passkeys" }],
  ["/passkeys/more", { page: "missing" }],
  ["/centre/more", { page: "missing" }],
  ["/log/entries/a/b", { page: "missing" }],
  ["/customers/%E0%A4%A", { page: "missing" }],
])("%s", (path, route) => expect(routeOf(path)).toEqual(route));

test("every address that a page makes leads back to it", () => {
  for (const part of PARTS) expect(routeOf(accountsPath(part))).toMatchObject({ page: "accounts", part });
  expect(routeOf(accountsPath("people", "a/b c"))).toEqual({ page: "accounts", part: "people", one: "a/b c" });
  expect(routeOf(entryPath(17))).toEqual({ page: "entry", entry: "17" });
});
