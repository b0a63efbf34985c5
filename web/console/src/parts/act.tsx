import type { JSX } from "preact";

/** A row's button, which says to a listener whose row it is. */
export function Act(props: { readonly text: string; readonly of: string; readonly click: () => void }): JSX.Element {
  return (
    <button type="button" class="quiet" aria-label={`${props.text}: ${props.of}`} onClick={props.click}>
      {props.text}
    </button>
  );
}
