import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { answer, api, type Person } from "@angbu/shared/client";
import { count } from "../../format";
import { type About, AboutCustomer } from "../../parts/about-customer";
import { FormDialog, textOf } from "../../parts/dialog";
import { Field, SelectField } from "../../parts/field";
import { Loaded } from "../../parts/loaded";
import { Paging } from "../../parts/paging";
import { useTitle } from "../../parts/title";
import { When } from "../../parts/when";
import { useResource } from "../../resource";
import { accountsPath, Link, useRouter } from "../../router";
import { useMay } from "../../session";
import { useSpeech } from "../../words";
import { PERSON_FIELDS, placed } from "./refused";
import { languageOptions, readPhone } from "./settings";

const ROWS = 50;

/** Which people of a customer are enrolled? */
export function PeoplePage(): JSX.Element {
  const { words } = useSpeech();
  useTitle(words["part.people"]);
  return (
    <AboutCustomer path={accountsPath("people")} one>
      {(about) => (about.customer === undefined ? <h1>{words.noCustomers}</h1> : <People about={about} customer={about.customer} />)}
    </AboutCustomer>
  );
}

function People({ about, customer }: { readonly about: About; readonly customer: string }): JSX.Element {
  const { words, language } = useSpeech();
  const { query, address, go } = useRouter();
  const may = useMay();
  const [adding, setAdding] = useState(false);
  const after = query.get("after") ?? undefined;
  const list = useResource(`${customer} ${after}`, () =>
    answer(api.GET("/api/v1/people", { params: { query: { customer, after, limit: ROWS } } })),
  );
  return (
    <Loaded of={list}>
      {({ people, next }) => (
        <>
          <h1>{title(people.length, next != null || after !== undefined)}</h1>
          <div class="filters">
            {about.chooser}
            {may("people.manage") && (
              <button type="button" onClick={() => setAdding(true)}>
                {words.personAdd}
              </button>
            )}
          </div>
          {people.length === 0 ? <p>{words.peopleNoneNext}</p> : <Table people={people} customer={customer} />}
          <Paging
            path={accountsPath("people")}
            query={{ customer }}
            by="after"
            next={next}
            onward={words.onward}
            start={words.fromStart}
          />
          {adding && (
            <AddPerson
              customer={customer}
              close={() => setAdding(false)}
              done={(person) => go(address(accountsPath("people", person.id), { customer }))}
            />
          )}
        </>
      )}
    </Loaded>
  );

  function title(shown: number, more: boolean): string {
    if (shown === 0) return words.peopleNone({ customer });
    const said = { customer, count: count(shown, language) };
    return more ? words.peopleSome(said) : words.peopleFirst(said);
  }
}

export function personState(words: ReturnType<typeof useSpeech>["words"], person: Person): string {
  if (person.erased) return words.personErased;
  return person.disabled ? words.disabled : words.active;
}

function Table({ people, customer }: { readonly people: readonly Person[]; readonly customer: string }): JSX.Element {
  const { words } = useSpeech();
  const { address } = useRouter();
  return (
    <table class="links">
      <thead>
        <tr>
          <th scope="col">{words.loginId}</th>
          <th scope="col">{words.phone}</th>
          <th scope="col">{words.enrolledAt}</th>
          <th scope="col">{words.state}</th>
        </tr>
      </thead>
      <tbody>
        {people.map((person) => (
          <tr key={person.id} class={person.disabled || person.erased ? "is-off" : ""}>
            <th scope="row">
              <Link href={address(accountsPath("people", person.id), { customer })}>
                {person.erased ? <code>{person.id.slice(0, 12)}…</code> : person.login_id}
              </Link>
            </th>
            <td data-label={words.phone}>{person.erased ? "–" : person.phone_no}</td>
            <td data-label={words.enrolledAt}>
              <When at={person.enrolled_at} digits={0} />
            </td>
            <td data-label={words.state}>{personState(words, person)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function AddPerson(props: {
  readonly customer: string;
  readonly close: () => void;
  readonly done: (person: Person) => void;
}): JSX.Element {
  const { words, language } = useSpeech();
  const run = async (form: FormData): Promise<void> => {
    const body = {
      customer: props.customer,
      login_id: textOf(form, "login_id"),
      // A password is taken as it is typed, spaces included.
      password: String(form.get("password")),
      birthday: textOf(form, "birthday"),
      phone_no: readPhone(textOf(form, "phone_no")),
      language: textOf(form, "language"),
    };
    props.done(await answer(api.POST("/api/v1/people", { body })));
  };
  return (
    <FormDialog title={words.personAddTo({ customer: props.customer })} action={words.add} close={props.close} run={run} place={placed(words, PERSON_FIELDS)}>
      {(wrong) => (
        <>
          <Field label={words.loginId} hint={words.loginIdRule} name="login_id" wrong={wrong["login_id"]} focus />
          <Field
            label={words.password}
            hint={words.passwordRule}
            name="password"
            type="password"
            autocomplete="new-password"
            wrong={wrong["password"]}
          />
          <Field label={words.birthday} name="birthday" type="date" wrong={wrong["birthday"]} />
          <Field label={words.phone} hint={words.phoneRule} name="phone_no" type="tel" wrong={wrong["phone_no"]} />
          <SelectField label={words.languageOf} name="language" options={languageOptions()} value={language} />
        </>
      )}
    </FormDialog>
  );
}
