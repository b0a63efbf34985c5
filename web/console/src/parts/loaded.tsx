// What a page shows until there is something to show: that it asks, that it may not, or why not.
import type { ComponentChildren, JSX } from "preact";
import type { Resource } from "../resource";
import { useSpeech } from "../words";
import { Refusal } from "./refusal";

export function Loaded<T>(props: {
  readonly of: Resource<T>;
  /** What to say where the centre knows nothing of the kind. */
  readonly missing?: ComponentChildren;
  readonly children: (data: T) => ComponentChildren;
}): JSX.Element {
  const { words } = useSpeech();
  const { data, refused, reload } = props.of;
  if (data !== undefined) return <>{props.children(data)}</>;
  if (refused === undefined) return <p class="asking">{words.loading}</p>;
  if (refused.problem.status === 404 && props.missing !== undefined) return <>{props.missing}</>;
  return <Refusal refused={refused} again={reload} />;
}
