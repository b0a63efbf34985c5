import type { JSX } from "preact";
import { useId, useRef, useState } from "preact/hooks";
import { answer, api, type KeyImportReport, type KeyImportRow, Refused } from "@angbu/shared/client";
import { count } from "../../format";
import { AboutCustomer } from "../../parts/about-customer";
import { textOf } from "../../parts/dialog";
import { Field, SelectField } from "../../parts/field";
import { Heads } from "../../parts/heads";
import { Notice, Refusal } from "../../parts/refusal";
import { useTitle } from "../../parts/title";
import { entryPath, keysPath, Link, useRouter } from "../../router";
import { useMay } from "../../session";
import { coded, useSpeech } from "../../words";
import { motionText, TryMark } from "./state";

const FORMATS = ["otpauth", "pskc", "csv", "users.oath", "google-authenticator", "privacyidea"] as const;
/** What the centre takes of one file. */
const LONGEST = 4 * 1024 * 1024;

/** Which tokens of another product would come over, and which would not? */
export function ImportPage(): JSX.Element {
  const { words } = useSpeech();
  useTitle(words.keyImport);
  return (
    <AboutCustomer path={keysPath("import")} one>
      {({ customer, chooser }) =>
        customer === undefined ? <h1>{words.noCustomers}</h1> : <Import key={customer} customer={customer} chooser={chooser} />
      }
    </AboutCustomer>
  );
}

function Import({ customer, chooser }: { readonly customer: string; readonly chooser: JSX.Element }): JSX.Element {
  const { words, language } = useSpeech();
  const [busy, setBusy] = useState(false);
  const [refused, setRefused] = useState<Refused>();
  const [mistake, setMistake] = useState<string>();
  const [report, setReport] = useState<KeyImportReport>();
  const form = useRef<HTMLFormElement>(null);
  const file = useId();

  const send = async (dry_run: boolean): Promise<void> => {
    if (form.current === null) return;
    setBusy(true);
    setRefused(undefined);
    setMistake(undefined);
    try {
      const given = new FormData(form.current);
      const chosen = given.get("file");
      if (!(chosen instanceof File) || chosen.size === 0 || chosen.size > LONGEST) {
        setMistake(words.keyImportNoFile);
        return;
      }
      const optional = (name: string): string | undefined => textOf(given, name) || undefined;
      const body = {
        customer,
        dry_run,
        text: await chosen.text(),
        format: optional("format"),
        login_id: optional("login_id"),
        key: optional("key"),
        password: optional("password"),
      };
      setReport(await answer(api.POST("/api/v1/keys/import", { body })));
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setRefused(error);
    } finally {
      setBusy(false);
    }
  };
  const first = report === undefined ? words.keyImportFirst({ customer }) : told(report);
  return (
    <>
      <h1>{first}</h1>
      {report === undefined && <p class="lead">{words.keyImportWhat}</p>}
      <div class="filters">{chooser}</div>
      <form
        ref={form}
        class="import"
        onSubmit={(event) => {
          event.preventDefault();
          void send(true);
        }}
        onInput={() => setReport(undefined)}
      >
        <div class="field">
          <label for={file}>{words.keyImportFile}</label>
          <input id={file} type="file" name="file" required />
        </div>
        {mistake !== undefined && (
          <p class="mistake" role="alert">
            {mistake}
          </p>
        )}
        <SelectField
          label={words.keyImportFormat}
          name="format"
          options={[{ value: "", text: words.keyImportSeen }, ...FORMATS.map((value) => ({ value, text: words[`keyFormat.${value}`] }))]}
          value=""
        />
        <details>
          <summary>{words.keyImportMore}</summary>
          <Field label={words.loginId} hint={words.keyImportHolder} name="login_id" optional />
          <Field label={words.keyImportKey} hint={words.keyImportKeyRule} name="key" type="password" autocomplete="new-password" optional />
          <Field label={words.password} hint={words.keyImportPassword} name="password" type="password" autocomplete="new-password" optional />
        </details>
        {refused !== undefined && <Refusal refused={refused} />}
        <div class="actions">
          <button type="submit" class={report === undefined ? "primary" : ""} disabled={busy}>
            {words.keyImportTry}
          </button>
          {report !== undefined && report.dry_run && report.added > 0 && (
            <button type="button" class="primary" disabled={busy} onClick={() => void send(false)}>
              {words.keyImportDo({ count: count(report.added, language) })}
            </button>
          )}
        </div>
      </form>
      {report !== undefined && <Report report={report} />}
    </>
  );

  function told(done: KeyImportReport): string {
    const said = {
      customer,
      added: count(done.added, language),
      clashes: count(done.clashes, language),
      refused: count(done.refused, language),
    };
    return done.dry_run ? words.keyImportWould(said) : words.keyImportDid(said);
  }
}

function Report({ report }: { readonly report: KeyImportReport }): JSX.Element {
  const { words } = useSpeech();
  const { address } = useRouter();
  const may = useMay();
  return (
    <section aria-live="polite">
      <h2>{words.keyImportReport({ format: coded(words, "keyFormat", report.format) })}</h2>
      {report.entry != null && (
        <Notice kind="done">
          <p>
            {words.keyImportDone} {may("evidence.read") && <Link href={address(entryPath(report.entry))}>{words.keyImportEntry}</Link>}
          </p>
        </Notice>
      )}
      <table>
        <Heads of={[words.keyImportOutcome, words.keyImportLine, words.keyHolder, words.keyMotion, words.keyImportRemarks]} acts={false} />
        <tbody>
          {report.rows.map((row) => (
            <Row key={`${row.line} ${row.login_id} ${row.serial}`} row={row} dry={report.dry_run} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Row({ row, dry }: { readonly row: KeyImportRow; readonly dry: boolean }): JSX.Element {
  const { words } = useSpeech();
  const { address } = useRouter();
  const outcome = row.outcome === "added" && dry ? words.keyWouldAdd : coded(words, "keyOutcome", row.outcome);
  const name = row.login_id ?? row.serial ?? "–";
  return (
    <tr class={row.outcome === "added" ? "" : "is-off"}>
      <th scope="row">
        <TryMark ok={row.outcome === "added"}>{outcome}</TryMark>
        {row.why != null && <small>{coded(words, "keyWhy", row.why)}</small>}
      </th>
      <td data-label={words.keyImportLine}>{row.line}</td>
      <td data-label={words.keyHolder}>
        {row.token == null ? name : <Link href={address(keysPath("tokens", row.token))}>{name}</Link>}
        {row.new_person === true && <small>{words.keyNewPerson}</small>}
      </td>
      <td data-label={words.keyMotion}>{row.kind == null ? "–" : motionText(words, { kind: row.kind, cycle_time: row.cycle_time })}</td>
      <td data-label={words.keyImportRemarks}>{row.remarks.map((remark) => coded(words, "keyRemark", remark)).join("; ") || "–"}</td>
    </tr>
  );
}
