import { expect, test } from "vitest";
import { allows, kindsToEnrol, partsFor, rolesToGive, SCOPES, scopesToGive } from "./session";

test("an operator is allowed everything, others what they have", () => {
  expect(allows(["operator"], "evidence.erase")).toBe(true);
  expect(allows(["time.read"], "time.read")).toBe(true);
  expect(allows(["time.read"], "time.report")).toBe(false);
  expect(allows([], "customers.read")).toBe(false);
});

test("only the parts that an account may open are shown", () => {
  expect(partsFor(["operator"])).toEqual(["customers", "people", "staff", "machines", "codes", "tokens"]);
  expect(partsFor(["customers.read", "people.read", "people.manage", "enrolments.make"])).toEqual(["customers", "people", "codes"]);
  expect(partsFor(["evidence.read"])).toEqual([]);
});

test("nobody gives what they do not have", () => {
  expect(scopesToGive(["operator"])).toEqual(SCOPES);
  expect(scopesToGive(["time.read", "of.a.later.version"])).toEqual(["time.read"]);
  expect(kindsToEnrol(["enrolments.make", "people.manage"])).toEqual(["person"]);
  expect(kindsToEnrol(["operator"])).toEqual(["agent", "host", "relying-party", "person"]);
});

test("nobody makes an operator who is not one", () => {
  expect(rolesToGive(["operator"])).toContain("operator");
  expect(rolesToGive(["staff.manage"])).not.toContain("operator");
});
