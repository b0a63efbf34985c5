// A page about one customer or all of them: which one stands in the address bar.
import type { ComponentChildren, JSX } from "preact";
import type { Customer } from "@angbu/shared/client";
import { useRouter } from "../router";
import { useSession, wholeSite } from "../session";
import { CustomerChooser, useCustomers } from "./customer-chooser";
import { Loaded } from "./loaded";

export interface About {
  /** The chosen customer; none means all that this account reaches. */
  readonly customer: string | undefined;
  readonly customers: readonly Customer[];
  readonly chooser: JSX.Element;
}

export function AboutCustomer(props: {
  /** The page's own address. */
  readonly path: string;
  /** The page needs one customer; without a choice the first one is meant. */
  readonly one: boolean;
  readonly children: (about: About) => ComponentChildren;
}): JSX.Element {
  const { query } = useRouter();
  const session = useSession();
  const list = useCustomers();
  return (
    <Loaded of={list}>
      {(customers) => {
        const own = session.staff.customer?.name;
        const wanted = own ?? query.get("customer") ?? undefined;
        const customer = wanted ?? (props.one ? customers[0]?.name : undefined);
        const chooser = (
          <CustomerChooser customers={customers} chosen={customer} path={props.path} all={!props.one && wholeSite(session)} />
        );
        return props.children({ customer, customers, chooser });
      }}
    </Loaded>
  );
}
