// What is settled with a customer, as it is typed.
import type { Option } from "../../parts/field";
import { Mistake } from "../../parts/dialog";
import { LANGUAGES, type Words } from "../../words";

const NS_PER_MS = 1e6;
const SHORTEST_NS = 1_000;
const LONGEST_MS = 86_400_000;

/** "50", "0.25": milliseconds, from a microsecond to a day. */
export function readTolerance(words: Words, text: string): number {
  const ms = Number(text.replace(",", "."));
  const ns = Math.round(ms * NS_PER_MS);
  if (text === "" || !(ns >= SHORTEST_NS) || ms > LONGEST_MS) throw new Mistake("tolerance", words.toleranceWrong);
  return ns;
}

/** Addresses with commas or spaces between them. The centre looks at them more closely. */
export function readContacts(words: Words, text: string): readonly string[] {
  const found = text.split(/[\s,;]+/).filter((each) => each !== "");
  const odd = found.find((each) => !/^[^@]+@[^@]+$/.test(each));
  if (odd !== undefined) throw new Mistake("contacts", words.contactWrong({ contact: odd }));
  return found;
}

/** A phone number as people write it, without what only parts its digits. */
export function readPhone(text: string): string {
  return text.replace(/[\s().-]+/g, "");
}

/** Milliseconds without superfluous digits. */
export function toleranceText(ns: number): string {
  return String(Number((ns / NS_PER_MS).toPrecision(12)));
}

export function languageOptions(): readonly Option[] {
  return Object.entries(LANGUAGES).map(([value, words]) => ({ value, text: words.language }));
}
