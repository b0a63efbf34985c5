import type { JSX } from "preact";
import { type KeysPart, keysPath, Link, useRouter } from "../../router";
import { useMay } from "../../session";
import { useSpeech } from "../../words";
import { NotAllowedPage } from "../missing";
import { ImportPage } from "./import";
import { PolicyPage } from "./policy";
import { KeyTokenPage } from "./token";
import { KeyTokensPage } from "./tokens";
import { KeyTriesPage } from "./tries";

/** Who holds a key here, and did it hold? Each part answers a piece of it. */
export function KeysPage(props: { readonly part: KeysPart; readonly one: string | undefined }): JSX.Element {
  const { words } = useSpeech();
  const { query, address } = useRouter();
  const may = useMay();
  if (!may("keys.read") || (props.part === "import" && !may("keys.manage"))) return <NotAllowedPage />;
  const parts = [
    ["tokens", words.keyTokens, true],
    ["tries", words.keyTries, true],
    ["policy", words.keyPolicy, true],
    ["import", words.keyImport, may("keys.manage")],
  ] as const;
  return (
    <>
      <nav class="choice parts" aria-label={words.oneTimeKeys}>
        {parts.map(
          ([part, name, shown]) =>
            shown && (
              <Link
                key={part}
                href={address(keysPath(part), { customer: query.get("customer") })}
                aria-current={part === props.part ? "page" : undefined}
              >
                {name}
              </Link>
            ),
        )}
      </nav>
      <Part {...props} />
    </>
  );
}

function Part({ part, one }: { readonly part: KeysPart; readonly one: string | undefined }): JSX.Element {
  switch (part) {
    case "tokens":
      return one === undefined ? <KeyTokensPage /> : <KeyTokenPage key={one} token={one} />;
    case "tries":
      return <KeyTriesPage />;
    case "policy":
      return <PolicyPage />;
    case "import":
      return <ImportPage />;
  }
}
