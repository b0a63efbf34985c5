import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { answer, api, type Calibration } from "@angbu/shared/client";
import { date, duration, NBSP } from "../../format";
import { Act } from "../../parts/act";
import { FormDialog, Mistake, textOf } from "../../parts/dialog";
import { Field } from "../../parts/field";
import { Loaded } from "../../parts/loaded";
import { instantOf } from "../../parts/when";
import { useResource } from "../../resource";
import { entryPath, Link, useRouter } from "../../router";
import { useMay } from "../../session";
import { useSpeech } from "../../words";

/** What laboratories found of the references: for everybody to read, for operators to record. */
export function CalibrationsSection(): JSX.Element {
  const { words } = useSpeech();
  const may = useMay();
  const list = useResource("calibrations", async () => (await answer(api.GET("/api/v1/time/calibrations"))).calibrations);
  const [open, setOpen] = useState<"record" | Calibration>();
  const close = (): void => setOpen(undefined);
  const done = (): void => {
    close();
    list.reload();
  };
  return (
    <section id="calibrations">
      <h2>{words.calibrations}</h2>
      <p class="lead">{words.calibrationsFirst}</p>
      <Loaded of={list}>
        {(calibrations) => (
          <>
            <Warning calibrations={calibrations} />
            {calibrations.length === 0 ? (
              <p>{words.calibrationsNone}</p>
            ) : (
              <Table calibrations={calibrations} withdraw={may("operator") ? setOpen : undefined} />
            )}
          </>
        )}
      </Loaded>
      {may("operator") && (
        <p class="after">
          <button type="button" class="primary" onClick={() => setOpen("record")}>
            {words.calibrationRecord}
          </button>
        </p>
      )}
      {open === "record" && <Record close={close} done={done} />}
      {typeof open === "object" && <Withdraw calibration={open} close={close} done={done} />}
    </section>
  );
}

/** Of the calibration that ends last, since it is the one that counts. */
function Warning({ calibrations }: { readonly calibrations: readonly Calibration[] }): JSX.Element | null {
  const { words } = useSpeech();
  const standing = calibrations.filter((each) => each.standing !== "withdrawn");
  const [last] = [...standing].sort((a, b) => Date.parse(b.valid_until) - Date.parse(a.valid_until));
  if (last === undefined || last.standing === "valid") return null;
  const said = { subject: last.subject, until: date(instantOf(last.valid_until), "utc") };
  return (
    <p class="notice" role="status">
      {last.standing === "ended" ? words.calibrationEnded(said) : words.calibrationEnding(said)}
    </p>
  );
}

function Table(props: {
  readonly calibrations: readonly Calibration[];
  readonly withdraw: ((calibration: Calibration) => void) | undefined;
}): JSX.Element {
  const { words } = useSpeech();
  const { address } = useRouter();
  const may = useMay();
  const day = (at: string): string => date(instantOf(at), "utc");
  return (
    <table>
      <thead>
        <tr>
          <th scope="col">{words.calibrationSubject}</th>
          <th scope="col">{words.laboratory}</th>
          <th scope="col" class="figure">
            {words.offset}
          </th>
          <th scope="col" class="figure">
            {words.uncertainty}
          </th>
          <th scope="col">{words.measuredOn}</th>
          <th scope="col">{words.standing}</th>
          <th scope="col">{words.certificate}</th>
        </tr>
      </thead>
      <tbody>
        {props.calibrations.map((each) => (
          <tr key={each.id} class={each.standing === "withdrawn" ? "is-none" : ""}>
            <th scope="row">
              {each.subject}
              {may("site.read") && (
                <small>
                  <Link href={address(entryPath(each.id))}>{words.recordedBy}</Link>
                </small>
              )}
            </th>
            <td data-label={words.laboratory}>
              {each.laboratory}
              <small>{each.certificate}</small>
            </td>
            <td class="figure" data-label={words.offset}>
              {duration(each.offset_ns)}
            </td>
            <td class="figure" data-label={words.uncertainty}>
              {`±${NBSP}${duration(each.uncertainty_ns)}`}
              <small>{words.withK({ k: each.coverage })}</small>
            </td>
            <td data-label={words.measuredOn}>{day(each.measured_at)}</td>
            <td data-label={words.standing}>
              {words[`standing.${each.standing}`]}
              <small>{`${words.validUntil} ${day(each.valid_until)}`}</small>
            </td>
            <td data-label={words.certificate}>
              {each.file_sha256 == null ? (
                "–"
              ) : (
                <a href={`/api/v1/time/calibrations/${each.id}/file`} download aria-label={`${words.certificateSave}: ${each.certificate}`}>
                  PDF
                </a>
              )}
              {props.withdraw !== undefined && each.standing !== "withdrawn" && (
                <Act text={words.withdraw} of={each.certificate} click={() => props.withdraw?.(each)} />
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Record({ close, done }: { readonly close: () => void; readonly done: () => void }): JSX.Element {
  const { words } = useSpeech();
  const whole = (form: FormData, name: string): number => {
    const text = textOf(form, name).replace("\u2212", "-");
    if (!/^-?\d{1,10}$/.test(text)) throw new Mistake(name, words.notANumber);
    return Number(text);
  };
  const day = (form: FormData, name: string): string => {
    const text = textOf(form, name);
    if (!/^\d{4}-\d\d-\d\d$/.test(text)) throw new Mistake(name, words.notADay);
    return `${text}T00:00:00Z`;
  };
  return (
    <FormDialog
      title={words.calibrationRecord}
      action={words.calibrationRecord}
      close={close}
      run={async (form) => {
        const file = form.get("file");
        const body = {
          subject: textOf(form, "subject"),
          laboratory: textOf(form, "laboratory"),
          certificate: textOf(form, "certificate"),
          measured_at: day(form, "measured"),
          offset_ns: whole(form, "offset"),
          uncertainty_ns: whole(form, "uncertainty"),
          coverage: textOf(form, "coverage"),
          valid_until: day(form, "until"),
          file: file instanceof File && file.size > 0 ? await base64(file) : null,
        };
        await answer(api.POST("/api/v1/time/calibrations", { body }));
        done();
      }}
    >
      {(wrong) => (
        <>
          <p>{words.calibrationRecordWhy}</p>
          <Field label={words.calibrationSubject} name="subject" hint={words.calibrationSubjectHint} wrong={wrong.subject} focus />
          <Field label={words.laboratory} name="laboratory" wrong={wrong.laboratory} />
          <Field label={words.certificateNumber} name="certificate" wrong={wrong.certificate} />
          <Field label={words.measuredOn} name="measured" type="date" wrong={wrong.measured} />
          <Field label={words.validUntil} name="until" type="date" wrong={wrong.until} />
          <Field label={words.offsetNs} name="offset" hint={words.offsetNsHint} wrong={wrong.offset} />
          <Field label={words.uncertaintyNs} name="uncertainty" wrong={wrong.uncertainty} />
          <Field label={words.coverage} name="coverage" value="2" wrong={wrong.coverage} />
          <div class="field">
            <label for="calibration-file">{words.certificateFile}</label>
            <input id="calibration-file" type="file" name="file" accept="application/pdf" />
          </div>
        </>
      )}
    </FormDialog>
  );
}

/** A file's bytes in base64; a data URL has them behind its comma. */
function base64(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(String(reader.result).split(",")[1] ?? "");
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(file);
  });
}

function Withdraw(props: { readonly calibration: Calibration; readonly close: () => void; readonly done: () => void }): JSX.Element {
  const { words } = useSpeech();
  const { id, certificate } = props.calibration;
  return (
    <FormDialog
      title={`${words.withdraw}: ${certificate}`}
      action={words.withdraw}
      danger
      close={props.close}
      run={async (form) => {
        const body = { reason: textOf(form, "reason") };
        await answer(api.POST("/api/v1/time/calibrations/{calibration}/withdraw", { params: { path: { calibration: id } }, body }));
        props.done();
      }}
    >
      {(wrong) => (
        <>
          <p>{words.withdrawWhy}</p>
          <Field label={words.reasonGiven} name="reason" wrong={wrong.reason} focus />
        </>
      )}
    </FormDialog>
  );
}
