import type { JSX } from "preact";
import { Link, useRouter } from "../router";
import { useSpeech } from "../words";

/** On to what comes after, and back to the beginning; the place stands in the address bar. */
export function Paging(props: {
  readonly path: string;
  readonly query: Readonly<Record<string, string>>;
  /** The name of the query value that says where a page begins. */
  readonly by: string;
  readonly next: string | null | undefined;
  readonly onward: string;
  readonly start: string;
}): JSX.Element | null {
  const { words } = useSpeech();
  const { query, address } = useRouter();
  const begun = query.get(props.by) !== null;
  if (!begun && props.next == null) return null;
  return (
    <nav class="paging" aria-label={words.paging}>
      {begun && <Link href={address(props.path, props.query)}>{props.start}</Link>}
      {props.next != null && <Link href={address(props.path, { ...props.query, [props.by]: props.next })}>{props.onward}</Link>}
    </nav>
  );
}
