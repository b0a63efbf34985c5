import type { JSX } from "preact";
import { useSpeech } from "../words";

/** The head of a table whose rows end with what can be done about each. */
export function Heads({ of }: { readonly of: readonly string[] }): JSX.Element {
  const { words } = useSpeech();
  return (
    <thead>
      <tr>
        {of.map((name) => (
          <th key={name} scope="col">
            {name}
          </th>
        ))}
        <th scope="col">
          <span class="unseen">{words.actions}</span>
        </th>
      </tr>
    </thead>
  );
}
