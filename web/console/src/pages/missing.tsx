import type { JSX } from "preact";
import { useTitle } from "../parts/title";
import { Link, useRouter } from "../router";
import { useSession } from "../session";
import { useSpeech } from "../words";

/** Says what is not there, and where everything is. */
export function MissingPage(props: { readonly what?: string }): JSX.Element {
  const { words } = useSpeech();
  const { address } = useRouter();
  const what = props.what ?? words.missingPage;
  useTitle(what);
  return (
    <>
      <h1>{what}</h1>
      <p>{words.missingNext}</p>
      <p>
        <Link href={address("/")}>{words.toOverview}</Link>
      </p>
    </>
  );
}

/** Says that this account may not see a page, and who it is. */
export function NotAllowedPage(): JSX.Element {
  const { words } = useSpeech();
  const { address } = useRouter();
  const { staff } = useSession();
  useTitle(words.notAllowed);
  return (
    <>
      <h1>{words.notAllowed}</h1>
      <p>{words.notAllowedWhy({ name: staff.name, role: words[`role.${staff.role}`] })}</p>
      <p>
        <Link href={address("/")}>{words.toStart}</Link>
      </p>
    </>
  );
}
