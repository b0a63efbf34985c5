// Which language the reader has, and its words.
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import { en, type Key, type Words } from "./en";
import { ja } from "./ja";
import { ko } from "./ko";

export type { Key, Words } from "./en";

export const LANGUAGES = { en, ko, ja } as const;
export type Language = keyof typeof LANGUAGES;

function known(code: string | null | undefined): Language | undefined {
  const short = code?.slice(0, 2).toLowerCase();
  return short !== undefined && Object.hasOwn(LANGUAGES, short) ? (short as Language) : undefined;
}

/** The address bar decides; without it the browser's own list; English last. */
export function languageOf(query: URLSearchParams, preferred: readonly string[]): Language {
  return known(query.get("lang")) ?? preferred.map(known).find((each) => each !== undefined) ?? "en";
}

export interface Speech {
  readonly language: Language;
  readonly words: Words;
}

export const SpeechContext = createContext<Speech>({ language: "en", words: en });

export function useSpeech(): Speech {
  return useContext(SpeechContext);
}

/** The words for one of the API's stable codes; a code that is newer than this console is shown as it is. */
export function coded(words: Words, group: "why" | "source" | "reason" | "drop" | "problem" | "kind" | "scope" | "code" | "witness" | "head" | "link" | "incident" | "topic" | "delivery" | "keyReason" | "keyState" | "keyFormat" | "keyOutcome" | "keyWhy" | "keyRemark", code: string): string {
  const found = words[`${group}.${code}` as Key] as Words[Key] | undefined;
  return typeof found === "string" ? found : code;
}
