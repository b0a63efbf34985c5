// What the pages about one customer's period have in common: the customer, the period, and the way to the others.
import type { ComponentChildren, JSX } from "preact";
import type { AskedPeriod } from "@angbu/shared/client";
import { useCentre } from "../../centre";
import { type Asked, askedPeriod } from "../../month";
import { CustomerPages } from "../../parts/customer-pages";
import { MonthChooser } from "../../parts/month-chooser";
import { useTitle } from "../../parts/title";
import { type PartyView, partyPath, useRouter } from "../../router";

export function useAsked(): { readonly asked: Asked; readonly key: string } {
  const { query } = useRouter();
  const asked = askedPeriod(query);
  const key = asked.kind === "days" ? `${asked.from} ${asked.to}` : (asked.month ?? "now");
  return { asked, key };
}

export function About(props: {
  readonly customer: string;
  readonly view: PartyView;
  readonly title: string;
  readonly shown?: AskedPeriod | undefined;
  readonly chooses: boolean;
  readonly children: ComponentChildren;
}): JSX.Element {
  const { now } = useCentre();
  const { asked } = useAsked();
  useTitle(`${props.title} · ${props.customer}`);
  return (
    <>
      <CustomerPages customer={props.customer} view={props.view} />
      {props.chooses && (
        <MonthChooser
          key={props.shown?.from_local ?? ""}
          asked={asked}
          shown={props.shown}
          nowMs={now()}
          path={partyPath(props.customer, props.view)}
        />
      )}
      <p class="kicker">
        {props.customer} · {props.title}
      </p>
      {props.children}
    </>
  );
}
