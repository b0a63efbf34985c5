import type { JSX } from "preact";
import { useCentre } from "../centre";
import { Link, useRouter } from "../router";
import { useSpeech } from "../words";

/** What the verdicts above rest on. */
export function ReferenceNote(): JSX.Element {
  const { words } = useSpeech();
  const { address } = useRouter();
  const { centre } = useCentre();
  return (
    <p class={`reference is-${centre.clock.verdict}`}>
      {words[`reference.${centre.clock.verdict}`]}{" "}
      <Link class="onward" href={address("/centre")}>
        {words.aboutClock}
      </Link>
    </p>
  );
}
