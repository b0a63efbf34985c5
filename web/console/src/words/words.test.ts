import { expect, test } from "vitest";
import { coded, LANGUAGES, languageOf } from ".";
import { en } from "./en";
import { ja } from "./ja";
import { ko } from "./ko";

// The type says so already; this says it of what runs.
test.each([["ko", ko], ["ja", ja]])("%s has the keys of English and no others", (_, words) => {
  expect(Object.keys(words).sort()).toEqual(Object.keys(en).sort());
});

test.each(Object.entries(LANGUAGES))("%s places every parameter that it is given", (_, words) => {
  for (const [key, value] of Object.entries(words)) {
    if (typeof value === "string") {
      expect(value.includes("${"), key).toBe(false);
      continue;
    }
    const asked = new Set<string>();
    const parameters = new Proxy({}, { get: (_target, name) => (asked.add(String(name)), `<${String(name)}>`) });
    const text = (value as (p: object) => string)(parameters);
    for (const name of asked) expect(text, `${key} drops ${name}`).toContain(`<${name}>`);
  }
});

test("each translation uses the parameters that English uses", () => {
  for (const key of Object.keys(en) as (keyof typeof en)[]) {
    const used = Object.values(LANGUAGES).map((words) => {
      const value = words[key] as string | ((p: object) => string);
      if (typeof value === "string") return [];
      const asked = new Set<string>();
      value(new Proxy({}, { get: (_target, name) => (asked.add(String(name)), "2") }));
      return [...asked].sort();
    });
    expect(used[1], `ko ${key}`).toEqual(used[0]);
    expect(used[2], `ja ${key}`).toEqual(used[0]);
  }
});

test("the address bar decides on the language, then the browser's list", () => {
  const query = (text: string): URLSearchParams => new URLSearchParams(text);
  expect(languageOf(query("lang=ja"), ["ko-KR"])).toBe("ja");
  expect(languageOf(query(""), ["fr-FR", "ko-KR", "en"])).toBe("ko");
  expect(languageOf(query("lang=xx"), ["fr"])).toBe("en");
});

test("a code that is newer than the console is shown as it is", () => {
  expect(coded(en, "why", "no-data")).toBe(en["why.no-data"]);
  expect(coded(en, "why", "eclipse")).toBe("eclipse");
});
