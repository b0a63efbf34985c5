import type { JSX } from "preact";
import type { EntryRow } from "@angbu/shared/client";
import { count, digitsFor } from "../format";
import { entryPath, Link, useRouter } from "../router";
import { coded, useSpeech } from "../words";
import { When } from "./when";

/** What the centre calls itself where a customer would stand. */
export const SITE = "-";

/** Entries as they stand in the log, the newest first. */
export function EntryTable({ entries }: { readonly entries: readonly EntryRow[] }): JSX.Element {
  const { words, language } = useSpeech();
  const { address } = useRouter();
  return (
    <table class="links">
      <thead>
        <tr>
          <th scope="col">{words.kind}</th>
          <th scope="col">{words.when}</th>
          <th scope="col">{words.customer}</th>
          <th scope="col" class="figure">
            {words.entryNumber}
          </th>
          <th scope="col" class="figure">
            {words.entryIndex}
          </th>
        </tr>
      </thead>
      <tbody>
        {entries.map((entry) => (
          <tr key={entry.id}>
            <th scope="row">
              <Link href={address(entryPath(entry.id))}>{coded(words, "kind", entry.kind)}</Link>
              <small>
                <code>{entry.kind}</code>
              </small>
            </th>
            <td>
              <When at={entry.at} digits={entry.verdict === "unproven" ? 0 : Math.min(3, digitsFor(entry.error_bound_ns))} />
            </td>
            <td data-label={words.customer}>{entry.customer === SITE ? words.theSite : entry.customer}</td>
            <td class="figure" data-label={words.entryNumber}>
              {count(entry.number, language)}
            </td>
            <td class="figure" data-label={words.entryIndex}>
              {count(entry.index, language)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
