import { expect, test } from "vitest";
import { Refused } from "@angbu/shared/client";
import { en } from "../../words/en";
import { PERSON_FIELDS, placed } from "./refused";
import { readContacts, readPhone, readTolerance, toleranceText } from "./settings";

test.each([["50", 50e6], ["0.25", 250_000], ["0,25", 250_000], ["86400000", 8.64e13]])("a tolerance of %s ms", (text, ns) => {
  expect(readTolerance(en, text)).toBe(ns);
  expect(readTolerance(en, toleranceText(ns))).toBe(ns);
});

test.each(["", "0", "-1", "soon", "86400001", "0.0009", "1e99"])("%s is no tolerance", (text) => {
  expect(() => readTolerance(en, text)).toThrow(en.toleranceWrong);
});

test("a phone number is taken as people write it", () => {
  expect(readPhone("010-1234-5678")).toBe("01012345678");
  expect(readPhone("+82 (10) 1234.5678")).toBe("+821012345678");
});

test("contacts stand with commas or spaces between them", () => {
  expect(readContacts(en, " a@b.example,c@d.example ;\n")).toEqual(["a@b.example", "c@d.example"]);
  expect(readContacts(en, "")).toEqual([]);
  expect(() => readContacts(en, "a@b.example nobody")).toThrow(en.contactWrong({ contact: "nobody" }));
});

test("each refusal of joining data is said at its own field, in the reader's words", () => {
  const refuse = (kind: string): Refused => new Refused({ type: `urn:angbu:problem:${kind}`, title: "no", status: 422, detail: "in English" });
  const place = placed(en, PERSON_FIELDS);
  expect(place(refuse("invalid-phone"))).toMatchObject({ field: "phone_no", message: en["problem.invalid-phone"] });
  expect(place(refuse("taken"))).toMatchObject({ field: "login_id" });
  expect(place(refuse("unavailable"))).toBeUndefined();
  expect(placed(en, { "new-kind": "name" })(refuse("new-kind"))?.message).toBe("in English");
});
