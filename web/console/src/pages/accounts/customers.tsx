import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { answer, api, type Customer } from "@angbu/shared/client";
import { count, duration } from "../../format";
import { useCustomers } from "../../parts/customer-chooser";
import { FormDialog, textOf } from "../../parts/dialog";
import { Field, SelectField } from "../../parts/field";
import { Loaded } from "../../parts/loaded";
import { useTitle } from "../../parts/title";
import { accountsPath, Link, useRouter } from "../../router";
import { useMay } from "../../session";
import { LANGUAGES, useSpeech } from "../../words";
import { languageOptions, readContacts, readTolerance } from "./settings";
import { placed } from "./refused";

/** Whom does this centre serve, and what was settled with each? */
export function CustomersPage(): JSX.Element {
  const { words, language } = useSpeech();
  const may = useMay();
  const { address, go } = useRouter();
  const [adding, setAdding] = useState(false);
  const list = useCustomers();
  useTitle(words["part.customers"]);
  return (
    <Loaded of={list}>
      {(customers) => (
        <>
          <h1>{customers.length === 0 ? words.noCustomers : words.customersFirst({ count: count(customers.length, language) })}</h1>
          {may("operator") && (
            <p class="tools">
              <button type="button" onClick={() => setAdding(true)}>
                {words.customerAdd}
              </button>
            </p>
          )}
          {customers.length > 0 && <Table customers={customers} />}
          {adding && (
            <AddCustomer
              close={() => setAdding(false)}
              done={(name) => go(address(accountsPath("customers", name)))}
            />
          )}
        </>
      )}
    </Loaded>
  );
}

function Table({ customers }: { readonly customers: readonly Customer[] }): JSX.Element {
  const { words, language } = useSpeech();
  const { address } = useRouter();
  return (
    <table class="links">
      <thead>
        <tr>
          <th scope="col">{words.customer}</th>
          <th scope="col" class="figure">
            {words.tolerance}
          </th>
          <th scope="col">{words.contacts}</th>
          <th scope="col">{words.languageOf}</th>
          <th scope="col" class="figure">
            {words.servers}
          </th>
        </tr>
      </thead>
      <tbody>
        {customers.map((customer) => (
          <tr key={customer.id}>
            <th scope="row">
              <Link href={address(accountsPath("customers", customer.name))}>{customer.name}</Link>
            </th>
            <td class="figure" data-label={words.tolerance}>
              {duration(customer.tolerance_ns)}
            </td>
            <td data-label={words.contacts}>{customer.contacts.length === 0 ? "–" : customer.contacts.join(", ")}</td>
            <td data-label={words.languageOf}>{languageName(customer.language)}</td>
            <td class="figure" data-label={words.servers}>
              {count(customer.agents, language)}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

export function languageName(code: string | null | undefined): string {
  return code != null && Object.hasOwn(LANGUAGES, code) ? LANGUAGES[code as keyof typeof LANGUAGES].language : (code ?? "–");
}

function AddCustomer(props: { readonly close: () => void; readonly done: (name: string) => void }): JSX.Element {
  const { words, language } = useSpeech();
  const run = async (form: FormData): Promise<void> => {
    const body = {
      name: textOf(form, "name"),
      tolerance_ns: readTolerance(words, textOf(form, "tolerance")),
      contacts: [...readContacts(words, textOf(form, "contacts"))],
      language: textOf(form, "language"),
    };
    props.done((await answer(api.POST("/api/v1/customers", { body }))).name);
  };
  return (
    <FormDialog title={words.customerAdd} action={words.add} close={props.close} run={run} place={placed(words, { taken: "name", invalid: "name" })}>
      {(wrong) => (
        <>
          <Field label={words.name} hint={words.nameRule} name="name" wrong={wrong["name"]} focus />
          <Field label={words.toleranceMs} hint={words.toleranceRule} name="tolerance" value="50" wrong={wrong["tolerance"]} />
          <Field label={words.contacts} hint={words.contactsRule} name="contacts" optional wrong={wrong["contacts"]} />
          <SelectField label={words.languageOf} name="language" options={languageOptions()} value={language} />
        </>
      )}
    </FormDialog>
  );
}
