import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { answer, api, type Machine } from "@angbu/shared/client";
import { count } from "../../format";
import { type About, AboutCustomer } from "../../parts/about-customer";
import { Act } from "../../parts/act";
import { Heads } from "../../parts/heads";
import { Loaded } from "../../parts/loaded";
import { Sure } from "../../parts/sure";
import { useTitle } from "../../parts/title";
import { When } from "../../parts/when";
import { useResource } from "../../resource";
import { accountsPath, entryPath, Link, useRouter } from "../../router";
import { useMay } from "../../session";
import { coded, useSpeech } from "../../words";

/** Which hosts and applications have joined? */
export function MachinesPage(): JSX.Element {
  const { words } = useSpeech();
  useTitle(words["part.machines"]);
  return (
    <AboutCustomer path={accountsPath("machines")} one={false}>
      {(about) => <Machines about={about} />}
    </AboutCustomer>
  );
}

function Machines({ about }: { readonly about: About }): JSX.Element {
  const { words, language } = useSpeech();
  const { address } = useRouter();
  const may = useMay();
  const [asking, setAsking] = useState<Machine>();
  const list = useResource(`machines ${about.customer}`, async () => {
    const found = await answer(api.GET("/api/v1/machines", { params: { query: { customer: about.customer } } }));
    return found.machines;
  });
  const flip = async ({ id, disabled }: Machine): Promise<void> => {
    const call = api.PATCH("/api/v1/machines/{machine}", { params: { path: { machine: id } }, body: { disabled: !disabled } });
    await answer(call);
    list.reload();
  };
  return (
    <Loaded of={list}>
      {(machines) => (
        <>
          <h1>{machines.length === 0 ? words.machinesNone : words.machinesFirst({ count: count(machines.length, language) })}</h1>
          <div class="filters">{about.chooser}</div>
          {machines.length === 0 && (
            <p>
              {words.machinesNoneNext}{" "}
              {may("enrolments.make") && <Link href={address(accountsPath("codes"))}>{words["part.codes"]}</Link>}
            </p>
          )}
          {machines.length > 0 && (
            <table>
              <Heads of={[words.name, words.kind, words.customer, words.enrolledAt, words.state]} />
              <tbody>
                {machines.map((machine) => (
                  <tr key={machine.id} class={machine.disabled ? "is-off" : ""}>
                    <th scope="row">{machine.name}</th>
                    <td data-label={words.kind}>{coded(words, "code", machine.kind)}</td>
                    <td data-label={words.customer}>{machine.customer}</td>
                    <td data-label={words.enrolledAt}>
                      <When at={machine.enrolled_at} digits={0} />
                      {may("evidence.read") && (
                        <small>
                          <Link href={address(entryPath(machine.entry))}>{words.entry}</Link>
                        </small>
                      )}
                    </td>
                    <td data-label={words.state}>{machine.disabled ? words.disabled : words.active}</td>
                    <td class="acts">
                      {may("machines.manage") && (
                        <Act text={machine.disabled ? words.enable : words.disable} of={machine.name} click={() => setAsking(machine)} />
                      )}
                    </td>
                  </tr>
                ))}
              </tbody>
            </table>
          )}
          {asking !== undefined && (
            <Sure
              title={asking.disabled ? words.enableOne({ name: asking.name }) : words.disableOne({ name: asking.name })}
              action={asking.disabled ? words.enable : words.disable}
              close={() => setAsking(undefined)}
              run={() => flip(asking)}
            >
              {asking.disabled ? words.enableWhat : words.disableMachineWhat}
            </Sure>
          )}
        </>
      )}
    </Loaded>
  );
}
