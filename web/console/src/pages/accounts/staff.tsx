import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { answer, api, type Customer, type Role, type StaffMember } from "@angbu/shared/client";
import { count } from "../../format";
import { type About, AboutCustomer } from "../../parts/about-customer";
import { Act } from "../../parts/act";
import { FormDialog, OnceDialog, textOf } from "../../parts/dialog";
import { Field, SelectField } from "../../parts/field";
import { Heads } from "../../parts/heads";
import { Loaded } from "../../parts/loaded";
import { Sure } from "../../parts/sure";
import { useTitle } from "../../parts/title";
import { useResource } from "../../resource";
import { accountsPath } from "../../router";
import { rolesToGive, useSession, wholeSite } from "../../session";
import { useSpeech } from "../../words";
import { placed } from "./refused";

type Asking =
  | { readonly what: "add" }
  | { readonly what: "role" | "disable" | "enable" | "password"; readonly of: StaffMember }
  | { readonly what: "once"; readonly name: string; readonly password: string };

/** Who works with this console, and in which role? */
export function StaffPage(): JSX.Element {
  const { words } = useSpeech();
  useTitle(words["part.staff"]);
  return (
    <AboutCustomer path={accountsPath("staff")} one={false}>
      {(about) => <Staff about={about} />}
    </AboutCustomer>
  );
}

function Staff({ about }: { readonly about: About }): JSX.Element {
  const { words, language } = useSpeech();
  const [asking, setAsking] = useState<Asking>();
  const list = useResource(`staff ${about.customer}`, async () => {
    const found = await answer(api.GET("/api/v1/staff", { params: { query: { customer: about.customer } } }));
    return found.staff;
  });
  const done = (next?: Asking): void => {
    setAsking(next);
    list.reload();
  };
  return (
    <Loaded of={list}>
      {(staff) => (
        <>
          <h1>{words.staffFirst({ count: count(staff.filter((each) => !each.disabled).length, language) })}</h1>
          <div class="filters">
            {about.chooser}
            <button type="button" onClick={() => setAsking({ what: "add" })}>
              {words.staffAdd}
            </button>
          </div>
          {staff.length > 0 && <Table staff={staff} ask={setAsking} />}
          {asking !== undefined && <Ask asking={asking} about={about} done={done} />}
        </>
      )}
    </Loaded>
  );
}

function Table(props: { readonly staff: readonly StaffMember[]; readonly ask: (asking: Asking) => void }): JSX.Element {
  const { words } = useSpeech();
  const own = useSession().staff.id;
  return (
    <table>
      <Heads of={[words.name, words.role, words.customer, words.state]} />
      <tbody>
        {props.staff.map((each) => (
          <tr key={each.id} class={each.disabled ? "is-off" : ""}>
            <th scope="row">{each.name}</th>
            <td data-label={words.role}>{words[`role.${each.role}`]}</td>
            <td data-label={words.customer}>{each.customer ?? words.wholeSite}</td>
            <td data-label={words.state}>
              {each.disabled ? words.disabled : each.must_change ? words.mustChange : words.active}
            </td>
            <td class="acts">
              {each.id === own ? (
                <span class="soft">{words.you}</span>
              ) : (
                <>
                  <Act text={words.roleChange} of={each.name} click={() => props.ask({ what: "role", of: each })} />
                  <Act text={words.passwordFresh} of={each.name} click={() => props.ask({ what: "password", of: each })} />
                  <Act
                    text={each.disabled ? words.enable : words.disable}
                    of={each.name}
                    click={() => props.ask({ what: each.disabled ? "enable" : "disable", of: each })}
                  />
                </>
              )}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Ask(props: { readonly asking: Asking; readonly about: About; readonly done: (next?: Asking) => void }): JSX.Element {
  const { words } = useSpeech();
  const { asking, done } = props;
  const close = (): void => done();
  if (asking.what === "add") return <AddStaff customers={props.about.customers} customer={props.about.customer} close={close} done={done} />;
  if (asking.what === "once") {
    return (
      <OnceDialog title={words.passwordFor({ name: asking.name })} secret={asking.password} close={close}>
        <p>{words.passwordHandOver}</p>
      </OnceDialog>
    );
  }
  const { id, name } = asking.of;
  const path = { staff: id };
  if (asking.what === "role") return <ChangeRole of={asking.of} close={close} />;
  if (asking.what === "password") {
    return (
      <FormDialog
        title={words.passwordFor({ name })}
        action={words.passwordFresh}
        close={close}
        run={async () => {
          const made = await answer(api.POST("/api/v1/staff/{staff}/password", { params: { path } }));
          done({ what: "once", name, password: made.one_time_password });
        }}
      >
        {() => <p>{words.passwordFreshWhat({ name })}</p>}
      </FormDialog>
    );
  }
  const disabled = asking.what === "disable";
  return (
    <Sure
      title={disabled ? words.disableOne({ name }) : words.enableOne({ name })}
      action={disabled ? words.disable : words.enable}
      close={close}
      run={async () => void (await answer(api.PATCH("/api/v1/staff/{staff}", { params: { path }, body: { disabled } })))}
    >
      {disabled ? words.disableWhat : words.enableWhat}
    </Sure>
  );
}

function ChangeRole(props: { readonly of: StaffMember; readonly close: () => void }): JSX.Element {
  const { words } = useSpeech();
  const { of } = props;
  const run = async (form: FormData): Promise<void> => {
    const body = { role: textOf(form, "role") as Role };
    await answer(api.PATCH("/api/v1/staff/{staff}", { params: { path: { staff: of.id } }, body }));
    props.close();
  };
  return (
    <FormDialog title={words.roleOf({ name: of.name })} action={words.save} close={props.close} run={run}>
      {() => <RoleField customer={of.customer ?? ""} value={of.role} />}
    </FormDialog>
  );
}

/** The roles that this account may give there; an operator has no customer. */
function RoleField(props: { readonly customer: string; readonly value: Role }): JSX.Element {
  const { words } = useSpeech();
  const { scopes } = useSession();
  const [chosen, setChosen] = useState<Role>(props.value);
  const roles = rolesToGive(scopes).filter((role) => (props.customer === "" ? role === "operator" || role === "auditor" : role !== "operator"));
  const value = roles.includes(chosen) ? chosen : roles[0];
  return (
    <SelectField
      label={words.role}
      name="role"
      options={roles.map((role) => ({ value: role, text: words[`role.${role}`] }))}
      {...(value === undefined ? {} : { value, hint: words[`roleMay.${value}`] })}
      change={(role) => setChosen(role as Role)}
    />
  );
}

function AddStaff(props: {
  readonly customers: readonly Customer[];
  readonly customer: string | undefined;
  readonly close: () => void;
  readonly done: (next: Asking) => void;
}): JSX.Element {
  const { words } = useSpeech();
  const session = useSession();
  const site = wholeSite(session);
  const [customer, setCustomer] = useState(props.customer ?? (site ? "" : (props.customers[0]?.name ?? "")));
  const places = [
    ...(site ? [{ value: "", text: words.wholeSite }] : []),
    ...props.customers.map(({ name }) => ({ value: name, text: name })),
  ];
  const run = async (form: FormData): Promise<void> => {
    const body = { name: textOf(form, "name"), role: textOf(form, "role") as Role, ...(customer === "" ? {} : { customer }) };
    const made = await answer(api.POST("/api/v1/staff", { body }));
    props.done({ what: "once", name: made.staff.name, password: made.one_time_password });
  };
  return (
    <FormDialog title={words.staffAdd} action={words.add} close={props.close} run={run} place={placed(words, { taken: "name", invalid: "name" })}>
      {(wrong) => (
        <>
          <Field label={words.name} hint={words.nameRule} name="name" wrong={wrong["name"]} focus />
          <SelectField label={words.customer} name="customer" options={places} value={customer} change={setCustomer} />
          <RoleField key={customer} customer={customer} value={customer === "" ? "auditor" : "customer-admin"} />
        </>
      )}
    </FormDialog>
  );
}
