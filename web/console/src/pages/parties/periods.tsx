import type { JSX } from "preact";
import { answer, api, type CustomerPeriods } from "@angbu/shared/client";
import { useCentre } from "../../centre";
import { askedQuery } from "../../month";
import { Loaded } from "../../parts/loaded";
import { customerPeriodSentence, PeriodOfCustomer } from "../../parts/period-of-customer";
import { ReportButton } from "../../parts/report";
import { instantOf } from "../../parts/when";
import { useResource } from "../../resource";
import { useMay } from "../../session";
import { useSpeech } from "../../words";
import { MissingPage } from "../missing";
import { About, useAsked } from "./about";

/** Were this customer's servers right in that month? */
export function PeriodsPage({ customer }: { readonly customer: string }): JSX.Element {
  const { words, language } = useSpeech();
  const { centre } = useCentre();
  const { asked, key } = useAsked();
  const may = useMay();
  const of = useResource<CustomerPeriods>(`${customer} ${key}`, () =>
    answer(api.GET("/api/v1/time/customers/{customer}/periods", { params: { path: { customer }, query: askedQuery(asked) } })),
  );
  const bounds = (): readonly [number, number] => {
    const period = of.data?.period;
    return period === undefined ? [0, 0] : [instantOf(period.from).ms, instantOf(period.until).ms];
  };
  return (
    <About customer={customer} view="periods" title={words.pagePeriods} shown={of.data?.period} chooses>
      <Loaded of={of} missing={<MissingPage what={words.missingCustomer({ customer })} />}>
        {(data) => (
          <>
            <h1>{customerPeriodSentence(words, language, data)}</h1>
            <PeriodOfCustomer
              of={data}
              tools={
                may("time.report") && data.agents.length > 0 && <ReportButton customer={customer} bounds={bounds} logKey={centre.log.key} />
              }
            />
          </>
        )}
      </Loaded>
    </About>
  );
}
