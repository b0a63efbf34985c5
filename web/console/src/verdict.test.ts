import type { Customer } from "@angbu/shared/client";
import { expect, test } from "vitest";
import { NBSP } from "./format";
import { customerSentence, periodSentence, siteSentence, type Tally, worst } from "./verdict";
import { en } from "./words/en";
import { ja } from "./words/ja";
import { ko } from "./words/ko";

const told = { words: en, zone: "UTC", language: "en", reference: "proven" } as const;
const plain = (text: string): string => text.replaceAll(NBSP, " ");
const MS = 1e6;

function says(counts: Tally, reference: "proven" | "declared" | "unproven" = "proven"): string {
  return plain(customerSentence({ ...told, reference }, "demo", 50 * MS, counts));
}

test("a customer's first line", () => {
  expect(says({ within: 0, outside: 0, notProven: 0 })).toBe("demo has no servers yet.");
  expect(says({ within: 1, outside: 0, notProven: 0 })).toBe("The one server of demo is within 50 ms now.");
  expect(says({ within: 3, outside: 0, notProven: 0 }, "declared")).toBe(
    "All 3 servers of demo are within 50 ms now, against the centre’s own clock, declared as reference.",
  );
  expect(says({ within: 1, outside: 1, notProven: 2 })).toBe(
    "1 of 4 servers of demo is within 50 ms now; 1 is outside, 2 are not proven.",
  );
  expect(says({ within: 0, outside: 1, notProven: 0 })).toBe("0 of 1 server of demo are within 50 ms now; 1 is outside.");
});

test("a declared reference is named in every language, wherever a verdict stands", () => {
  const counts = { within: 1, outside: 1, notProven: 1 };
  for (const [words, language, word] of [[en, "en", "declared"], [ko, "ko", "선언"], [ja, "ja", "宣言"]] as const) {
    for (const each of [counts, { within: 2, outside: 0, notProven: 0 }, { within: 1, outside: 0, notProven: 0 }]) {
      expect(customerSentence({ words, language, reference: "declared" }, "demo", 50 * MS, each)).toContain(word);
    }
  }
});

test("with the centre's own clock unproven, nothing is said to be within", () => {
  const sentence = says({ within: 3, outside: 0, notProven: 0 }, "unproven");
  expect(sentence).toBe(en.clockUnproven);
  expect(sentence).not.toContain("within");
});

test("the site's first line", () => {
  const customer = (name: string, within: number, outside: number): Customer => ({
    id: name, name, tolerance_ns: 50 * MS, agents: within + outside, within, outside, not_proven: 0,
    contacts: [], language: "en", zone: "UTC", revision: 1,
  });
  expect(siteSentence(told, [])).toBe(en.noCustomers);
  expect(plain(siteSentence(told, [customer("demo", 2, 0)]))).toBe("All 2 servers of demo are within 50 ms now.");
  expect(siteSentence(told, [customer("a", 2, 0), customer("b", 1, 0)])).toBe(
    "All 3 servers of 2 customers are within their tolerance now.",
  );
  expect(siteSentence(told, [customer("a", 2, 0), customer("b", 0, 1)])).toBe(
    "2 of 3 servers of 2 customers are within tolerance now; 1 is outside.",
  );
  expect(siteSentence(told, [customer("a", 0, 0), customer("b", 0, 0)])).toBe(en.noServersAtAll);
});

test("a period's sentence never rounds trouble away", () => {
  const says = (within_ms: number, outside_ms: number, not_proven_ms: number): string =>
    plain(periodSentence(en, "db-3", 50 * MS, en["last.24h"], { within_ms, outside_ms, not_proven_ms }));
  expect(says(1000, 0, 0)).toBe("db-3 was within 50 ms for all of the last 24 hours.");
  expect(says(992, 0, 8)).toBe("db-3 was within 50 ms for 99.2 % of the last 24 hours; 0.8 % is not proven.");
  expect(says(999_999, 1, 0)).toBe("db-3 was within 50 ms for 99.9 % of the last 24 hours; 0.1 % was outside.");
  expect(says(0, 0, 1000)).toBe("db-3 is not shown to be within 50 ms at any time of the last 24 hours; 100 % is not proven.");
  expect(says(0, 0, 0)).toContain("not proven");
});

test("the worst verdict stands for the whole; no server is not within", () => {
  expect(worst({ within: 5, outside: 1, notProven: 1 })).toBe("outside");
  expect(worst({ within: 5, outside: 0, notProven: 1 })).toBe("not-proven");
  expect(worst({ within: 5, outside: 0, notProven: 0 })).toBe("within");
  expect(worst({ within: 0, outside: 0, notProven: 0 })).toBe("not-proven");
});
