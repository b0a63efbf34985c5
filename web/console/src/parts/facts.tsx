// Names and what stands for them, one below the other.
import type { ComponentChildren, JSX } from "preact";

export function Facts(props: { readonly title: string; readonly children: ComponentChildren }): JSX.Element {
  return (
    <section>
      <h2>{props.title}</h2>
      <dl class="facts">{props.children}</dl>
    </section>
  );
}

export function Fact(props: { readonly name: string; readonly children: ComponentChildren }): JSX.Element {
  return (
    <>
      <dt>{props.name}</dt>
      <dd>{props.children}</dd>
    </>
  );
}
