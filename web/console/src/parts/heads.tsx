import type { JSX } from "preact";
import { useSpeech } from "../words";

/** The head of a table whose rows end with what can be done about each, unless they only tell. */
export function Heads({ of, acts = true }: { readonly of: readonly string[]; readonly acts?: boolean }): JSX.Element {
  const { words } = useSpeech();
  return (
    <thead>
      <tr>
        {of.map((name) => (
          <th key={name} scope="col">
            {name}
          </th>
        ))}
        {acts && (
          <th scope="col">
            <span class="unseen">{words.actions}</span>
          </th>
        )}
      </tr>
    </thead>
  );
}
