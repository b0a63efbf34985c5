import type { JSX } from "preact";
import type { PartyView } from "../../router";
import { useMay } from "../../session";
import { NotAllowedPage } from "../missing";
import { ChainPage } from "./chain";
import { PeriodsPage } from "./periods";
import { SharingPage } from "./sharing";
import { TrendPage } from "./trend";

/** The pages about one customer's period, which third parties are shown too. */
export function PartyPage({ customer, view }: { readonly customer: string; readonly view: PartyView }): JSX.Element {
  const may = useMay();
  switch (view) {
    case "periods":
      return <PeriodsPage customer={customer} />;
    case "trend":
      return <TrendPage customer={customer} />;
    case "chain":
      return <ChainPage customer={customer} />;
    case "sharing":
      return may("time.report") ? <SharingPage customer={customer} /> : <NotAllowedPage />;
  }
}
