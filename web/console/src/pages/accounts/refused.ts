// Which field of a form a refusal is about.
import type { Refused } from "@angbu/shared/client";
import { Mistake } from "../../parts/dialog";
import { coded, type Words } from "../../words";

/** From the kind of a refusal to the field, with the refusal's own words where the console has none. */
export function placed(words: Words, fields: Readonly<Record<string, string>>): (refused: Refused) => Mistake | undefined {
  return (refused) => {
    const field = fields[refused.kind];
    if (field === undefined) return undefined;
    const said = coded(words, "problem", refused.kind);
    return new Mistake(field, said === refused.kind ? refused.message : said);
  };
}

/** What a person's joining data can be refused for. */
export const PERSON_FIELDS = {
  "invalid-login-id": "login_id",
  taken: "login_id",
  "invalid-password": "password",
  "invalid-birthday": "birthday",
  "invalid-phone": "phone_no",
} as const;
