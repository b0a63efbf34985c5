import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { answer, api, type Customer } from "@angbu/shared/client";
import { count, duration } from "../../format";
import { FormDialog, textOf } from "../../parts/dialog";
import { Fact } from "../../parts/facts";
import { Field, SelectField } from "../../parts/field";
import { Loaded } from "../../parts/loaded";
import { Notice } from "../../parts/refusal";
import { useTitle } from "../../parts/title";
import { useResource } from "../../resource";
import { accountsPath, customerPath, Link, useRouter } from "../../router";
import { partsFor, useMay, useSession } from "../../session";
import { useSpeech } from "../../words";
import { MissingPage } from "../missing";
import { languageName } from "./customers";
import { placed } from "./refused";
import { languageOptions, readContacts, readTolerance, toleranceText } from "./settings";
import { Webhooks } from "./webhooks";

/** What is settled with this customer? */
export function CustomerAccountPage(props: { readonly customer: string }): JSX.Element {
  const { words } = useSpeech();
  const loaded = useResource(props.customer, () =>
    answer(api.GET("/api/v1/customers/{customer}", { params: { path: { customer: props.customer } } })),
  );
  useTitle(props.customer);
  return (
    <Loaded of={loaded} missing={<MissingPage what={words.missingCustomer({ customer: props.customer })} />}>
      {(customer) => <Settled customer={customer} changed={(fresh) => loaded.change(() => fresh)} />}
    </Loaded>
  );
}

function Settled(props: { readonly customer: Customer; readonly changed: (customer: Customer) => void }): JSX.Element {
  const { words, language } = useSpeech();
  const { customer } = props;
  const { address } = useRouter();
  const may = useMay();
  const session = useSession();
  const [changing, setChanging] = useState(false);
  const [changed, setChanged] = useState(false);
  const others = partsFor(session.scopes).filter((part) => part !== "customers");
  return (
    <>
      <h1>{words.customerFirst({ customer: customer.name, tolerance: duration(customer.tolerance_ns) })}</h1>
      {changed && (
        <Notice kind="done">
          <p>{words.customerChanged({ revision: count(customer.revision, language) })}</p>
        </Notice>
      )}
      <section>
        <h2>{words.settled}</h2>
        <dl class="facts">
          <Fact name={words.tolerance}>{duration(customer.tolerance_ns)}</Fact>
          <Fact name={words.contacts}>
            {customer.contacts.length === 0 ? words.contactsNone : <ul class="plain">{customer.contacts.map((each) => <li key={each}>{each}</li>)}</ul>}
          </Fact>
          <Fact name={words.languageOf}>{languageName(customer.language)}</Fact>
          <Fact name={words.zone}>{customer.zone}</Fact>
          <Fact name={words.revision}>
            {count(customer.revision, language)}
            <p class="soft">{words.revisionWhy}</p>
          </Fact>
          <Fact name={words.id}>
            <code>{customer.id}</code>
          </Fact>
        </dl>
        {may("customers.change") && (
          <p class="after">
            <button type="button" onClick={() => setChanging(true)}>
              {words.change}
            </button>
          </p>
        )}
      </section>
      {may("customers.change") && <Webhooks customer={customer} />}
      <section>
        <h2>{words.ofCustomer({ customer: customer.name })}</h2>
        <ul class="ways">
          {may("time.read") && (
            <li>
              <Link href={address(customerPath(customer.name))}>{words.servers}</Link>
            </li>
          )}
          {may("time.read") && (
            <li>
              <Link href={address("/incidents", { customer: customer.name })}>{words.incidents}</Link>
            </li>
          )}
          {may("evidence.read") && (
            <li>
              <Link href={address("/log/entries", { customer: customer.name })}>{words.entries}</Link>
            </li>
          )}
          {others.map((part) => (
            <li key={part}>
              <Link href={address(accountsPath(part), { customer: customer.name })}>{words[`part.${part}`]}</Link>
            </li>
          ))}
        </ul>
      </section>
      {changing && (
        <ChangeCustomer
          customer={customer}
          close={() => setChanging(false)}
          done={(fresh) => {
            setChanging(false);
            setChanged(true);
            props.changed(fresh);
          }}
        />
      )}
    </>
  );
}

function ChangeCustomer(props: {
  readonly customer: Customer;
  readonly close: () => void;
  readonly done: (customer: Customer) => void;
}): JSX.Element {
  const { words } = useSpeech();
  const { customer } = props;
  const run = async (form: FormData): Promise<void> => {
    const body = {
      tolerance_ns: readTolerance(words, textOf(form, "tolerance")),
      contacts: [...readContacts(words, textOf(form, "contacts"))],
      language: textOf(form, "language"),
      zone: textOf(form, "zone"),
    };
    const path = { customer: customer.id };
    props.done(await answer(api.PATCH("/api/v1/customers/{customer}", { params: { path }, body })));
  };
  return (
    <FormDialog title={words.customerChange({ customer: customer.name })} action={words.save} close={props.close} run={run} place={(refused) => placed(words, { invalid: refused.message.startsWith("zone") ? "zone" : "contacts" })(refused)}>
      {(wrong) => (
        <>
          <p class="soft">{words.revisionWhy}</p>
          <Field
            label={words.toleranceMs}
            hint={words.toleranceRule}
            name="tolerance"
            value={toleranceText(customer.tolerance_ns)}
            wrong={wrong["tolerance"]}
            focus
          />
          <Field
            label={words.contacts}
            hint={words.contactsRule}
            name="contacts"
            value={customer.contacts.join(", ")}
            optional
            wrong={wrong["contacts"]}
          />
          <SelectField label={words.languageOf} name="language" options={languageOptions()} value={customer.language} />
          <Field label={words.zone} hint={words.zoneRule} name="zone" value={customer.zone} wrong={wrong["zone"]} />
        </>
      )}
    </FormDialog>
  );
}
