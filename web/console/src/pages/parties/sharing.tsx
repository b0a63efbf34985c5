import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { answer, api, type KeptReport, Refused, type Share } from "@angbu/shared/client";
import { useCentre } from "../../centre";
import { count } from "../../format";
import { askedQuery, localText, monthFrom, monthName } from "../../month";
import { Act } from "../../parts/act";
import { FormDialog, OnceDialog, textOf } from "../../parts/dialog";
import { Field, SelectField } from "../../parts/field";
import { Heads } from "../../parts/heads";
import { Loaded } from "../../parts/loaded";
import { Notice, Refusal } from "../../parts/refusal";
import { save } from "../../parts/save";
import { Sure } from "../../parts/sure";
import { When } from "../../parts/when";
import { useResource } from "../../resource";
import { useMay } from "../../session";
import { LANGUAGES, type Language, useSpeech } from "../../words";
import { MissingPage } from "../missing";
import { About } from "./about";

/** Who may see what of this customer without signing in, and which reports are kept? */
export function SharingPage({ customer }: { readonly customer: string }): JSX.Element {
  const { words } = useSpeech();
  const of = useResource(`sharing ${customer}`, async () => {
    const [{ shares }, { reports }] = await Promise.all([
      answer(api.GET("/api/v1/time/shares", { params: { query: { customer } } })),
      answer(api.GET("/api/v1/time/customers/{customer}/reports", { params: { path: { customer } } })),
    ]);
    return { shares, reports };
  });
  return (
    <About customer={customer} view="sharing" title={words.pageSharing} chooses={false}>
      <Loaded of={of} missing={<MissingPage what={words.missingCustomer({ customer })} />}>
        {({ shares, reports }) => (
          <>
            <Links customer={customer} shares={shares} reload={of.reload} />
            <Reports customer={customer} reports={reports} reload={of.reload} />
          </>
        )}
      </Loaded>
    </About>
  );
}

function Links(props: { readonly customer: string; readonly shares: readonly Share[]; readonly reload: () => void }): JSX.Element {
  const { words, language } = useSpeech();
  const may = useMay();
  const [making, setMaking] = useState(false);
  const [made, setMade] = useState<{ readonly holder: string; readonly address: string }>();
  const [revoking, setRevoking] = useState<Share>();
  const { customer, shares, reload } = props;
  const good = shares.filter((share) => share.good).length;
  const revoke = async ({ id }: Share): Promise<void> => {
    await answer(api.DELETE("/api/v1/time/shares/{share}", { params: { path: { share: id } } }));
    reload();
  };
  return (
    <>
      <h1>{good === 0 ? words.sharingNone({ customer }) : words.sharingFirst({ customer, count: count(good, language) })}</h1>
      <p class="lead">{words.sharingWhat}</p>
      {may("customers.change") && (
        <div class="filters">
          <button type="button" onClick={() => setMaking(true)}>
            {words.shareMake}
          </button>
        </div>
      )}
      {shares.length > 0 && (
        <table>
          <Heads of={[words.shareHolder, words.period, words.views, words.expires]} />
          <tbody>
            {shares.map((share) => (
              <tr key={share.id} class={share.good ? "" : "is-off"}>
                <th scope="row">{share.holder}</th>
                <td data-label={words.period}>
                  {localText(share.from_local)} – {localText(share.to_local)} <small>{share.zone}</small>
                </td>
                <td data-label={words.views}>
                  {share.views === 0 ? words.viewsNone : count(share.views, language)}
                  {share.last_view_at != null && (
                    <small>
                      <When at={share.last_view_at} digits={0} />
                    </small>
                  )}
                </td>
                <td data-label={words.expires}>
                  {share.revoked ? words.takenBack : share.good ? <When at={share.expires_at} digits={0} /> : words.ended}
                </td>
                <td class="acts">
                  {share.good && may("customers.change") && <Act text={words.takeBack} of={share.holder} click={() => setRevoking(share)} />}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {making && (
        <MakeLink
          customer={customer}
          close={() => setMaking(false)}
          done={(link) => {
            setMaking(false);
            setMade(link);
            reload();
          }}
        />
      )}
      {made !== undefined && (
        <OnceDialog title={words.shareMade({ name: made.holder })} secret={made.address} close={() => setMade(undefined)}>
          <p>{words.shareMadeNext}</p>
        </OnceDialog>
      )}
      {revoking !== undefined && (
        <Sure
          title={words.shareRevoke({ name: revoking.holder })}
          action={words.takeBack}
          close={() => setRevoking(undefined)}
          run={() => revoke(revoking)}
        >
          {words.shareRevokeWhat}
        </Sure>
      )}
    </>
  );
}

const DAYS = [7, 30, 90, 366] as const;
/** Months that a link can be made for. */
const MONTHS = 13;

function MakeLink(props: {
  readonly customer: string;
  readonly close: () => void;
  readonly done: (made: { readonly holder: string; readonly address: string }) => void;
}): JSX.Element {
  const { words, language } = useSpeech();
  const { now } = useCentre();
  const newest = new Date(now()).toISOString().slice(0, 7);
  const months = Array.from({ length: MONTHS }, (_, index) => monthFrom(newest, -index));
  const run = async (form: FormData): Promise<void> => {
    const body = {
      customer: props.customer,
      holder: textOf(form, "holder"),
      ...askedQuery({ kind: "month", month: textOf(form, "month") }),
      days: Number(textOf(form, "days")),
      language: textOf(form, "language"),
    };
    const { path } = await answer(api.POST("/api/v1/time/shares", { body }));
    props.done({ holder: body.holder, address: `${window.location.origin}${path}` });
  };
  return (
    <FormDialog title={words.shareMake} action={words.shareMake} close={props.close} run={run}>
      {(wrong) => (
        <>
          <Field label={words.shareHolder} hint={words.shareHolderHint} name="holder" wrong={wrong["holder"]} focus />
          <SelectField
            label={words.month}
            name="month"
            options={months.map((month) => ({ value: month, text: monthName(month, language) }))}
            value={months[1] ?? newest}
          />
          <SelectField
            label={words.shareDays}
            name="days"
            options={DAYS.map((days) => ({ value: String(days), text: words.afterDays({ days: String(days) }) }))}
            value="30"
          />
          <SelectField
            label={words.shareLanguage}
            name="language"
            options={(Object.keys(LANGUAGES) as Language[]).map((each) => ({ value: each, text: LANGUAGES[each].language }))}
            value={language}
          />
        </>
      )}
    </FormDialog>
  );
}

function Reports(props: { readonly customer: string; readonly reports: readonly KeptReport[]; readonly reload: () => void }): JSX.Element {
  const { words, language } = useSpeech();
  const { now } = useCentre();
  const monthly = props.reports.filter((report) => report.month != null);
  const last = monthFrom(new Date(now()).toISOString().slice(0, 7), -1);
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState<Refused>();
  const told = async (work: () => Promise<void>): Promise<void> => {
    setBusy(true);
    setRefused(undefined);
    try {
      await work();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setRefused(error);
    } finally {
      setBusy(false);
    }
  };
  const make = async (): Promise<void> => {
    await answer(api.POST("/api/v1/time/customers/{customer}/reports", { params: { path: { customer: props.customer } }, body: { month: last } }));
    props.reload();
  };
  const fetched = async (report: KeptReport): Promise<void> => {
    const file = await answer(api.GET("/api/v1/time/reports/{report}", { params: { path: { report: report.id } }, parseAs: "blob" }));
    save(file as unknown as Blob, report.file_name);
  };
  return (
    <section>
      <h2>{words.monthlyReports}</h2>
      <p class="soft">{words.monthlyWhat}</p>
      {refused !== undefined && <Refusal refused={refused} />}
      {!monthly.some((report) => report.month === last) && (
        <div class="filters">
          <span>{monthName(last, language)}</span>
          <button type="button" disabled={busy} onClick={() => void told(make)}>
            {words.monthlyMake}
          </button>
        </div>
      )}
      {monthly.length === 0 ? (
        <Notice kind="empty">
          <p>{words.monthlyNone}</p>
        </Notice>
      ) : (
        <table>
          <Heads of={[words.month, words.made, words.size]} />
          <tbody>
            {monthly.map((report) => (
              <tr key={report.id}>
                <th scope="row">{report.month == null ? "" : monthName(report.month, language)}</th>
                <td data-label={words.made}>
                  <When at={report.made_at} digits={0} />
                </td>
                <td data-label={words.size}>
                  {report.size === 0 ? words.noFile : sizeText(report.size)}
                  {report.why != null && <small>{report.why}</small>}
                </td>
                <td class="acts">
                  {report.size > 0 && <Act text={words.saveFile} of={report.month ?? report.id} click={() => void told(() => fetched(report))} />}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

/** "1.2 MB", as file managers say it. */
export function sizeText(bytes: number): string {
  if (bytes >= 1e6) return `${(bytes / 1e6).toFixed(1)}\u00a0MB`;
  return `${Math.max(1, Math.round(bytes / 1e3))}\u00a0kB`;
}
