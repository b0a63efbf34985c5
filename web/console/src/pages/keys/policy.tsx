import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { answer, api, type KeyPolicy } from "@angbu/shared/client";
import { span } from "../../format";
import { AboutCustomer } from "../../parts/about-customer";
import { FormDialog, Mistake, textOf } from "../../parts/dialog";
import { Fact } from "../../parts/facts";
import { Field, SelectField } from "../../parts/field";
import { Loaded } from "../../parts/loaded";
import { useTitle } from "../../parts/title";
import { useResource } from "../../resource";
import { keysPath } from "../../router";
import { useMay } from "../../session";
import { useSpeech } from "../../words";

/** By which rules are a customer's keys judged? */
export function PolicyPage(): JSX.Element {
  const { words } = useSpeech();
  useTitle(words.keyPolicy);
  return (
    <AboutCustomer path={keysPath("policy")} one>
      {({ customer, chooser }) =>
        customer === undefined ? <h1>{words.noCustomers}</h1> : <Policy key={customer} customer={customer} chooser={chooser} />
      }
    </AboutCustomer>
  );
}

function Policy({ customer, chooser }: { readonly customer: string; readonly chooser: JSX.Element }): JSX.Element {
  const { words, language } = useSpeech();
  const may = useMay();
  const [changing, setChanging] = useState(false);
  const loaded = useResource(`policy ${customer}`, () => answer(api.GET("/api/v1/keys/policy", { params: { query: { customer } } })));
  const long = (seconds: number): string => span(seconds * 1000, language);
  return (
    <Loaded of={loaded}>
      {(policy) => (
        <>
          <h1>
            {words.keyPolicyFirst({
              customer,
              back: long(policy.back_s),
              after: String(policy.lock_after),
              wait: long(policy.lock_first_s),
            })}
          </h1>
          <div class="filters">
            {chooser}
            {may("keys.manage") && (
              <button type="button" onClick={() => setChanging(true)}>
                {words.change}
              </button>
            )}
          </div>
          <dl class="facts">
            <Fact name={words.keyBack}>{long(policy.back_s)}</Fact>
            <Fact name={words.keyAhead}>{long(policy.ahead_s)}</Fact>
            <Fact name={words.keyUnproven}>{words[`keyUnproven.${policy.while_unproven}`]}</Fact>
            <Fact name={words.keyLongCycles}>{policy.long_cycles ? words.keyLongYes : words.keyLongNo}</Fact>
            <Fact name={words.keyLockAfter}>{words.keyFailuresOf({ count: String(policy.lock_after) })}</Fact>
            <Fact name={words.keyLockFirst}>{long(policy.lock_first_s)}</Fact>
            <Fact name={words.keyLockLongest}>{long(policy.lock_longest_s)}</Fact>
            <Fact name={words.keyDisableAt}>{words.keyFailuresOf({ count: String(policy.disable_at) })}</Fact>
          </dl>
          <p class="soft after">{words.keyPolicyEntry}</p>
          {changing && (
            <Change
              policy={policy}
              customer={customer}
              close={() => {
                setChanging(false);
                loaded.reload();
              }}
            />
          )}
        </>
      )}
    </Loaded>
  );
}

function Change({ policy, customer, close }: { readonly policy: KeyPolicy; readonly customer: string; readonly close: () => void }): JSX.Element {
  const { words } = useSpeech();
  const run = async (form: FormData): Promise<void> => {
    const whole = (name: string): number => {
      const text = textOf(form, name);
      if (!/^\d{1,9}$/.test(text)) throw new Mistake(name, words.keyWhole);
      return Number(text);
    };
    const body = {
      back_s: whole("back_s"),
      ahead_s: whole("ahead_s"),
      long_cycles: textOf(form, "long_cycles") === "yes",
      while_unproven: textOf(form, "while_unproven") as KeyPolicy["while_unproven"],
      lock_after: whole("lock_after"),
      lock_first_s: whole("lock_first_s"),
      lock_longest_s: whole("lock_longest_s"),
      disable_at: whole("disable_at"),
      revision: policy.revision,
    };
    await answer(api.PUT("/api/v1/keys/policy", { params: { query: { customer } }, body }));
    close();
  };
  const seconds = (name: "back_s" | "ahead_s" | "lock_first_s" | "lock_longest_s", label: string, wrong: string | undefined, focus = false): JSX.Element => (
    <Field label={`${label} (${words.seconds})`} name={name} value={String(policy[name])} wrong={wrong} focus={focus} />
  );
  return (
    <FormDialog title={words.keyPolicyChange({ customer })} action={words.save} close={close} run={run}>
      {(wrong) => (
        <>
          {seconds("back_s", words.keyBack, wrong["back_s"], true)}
          {seconds("ahead_s", words.keyAhead, wrong["ahead_s"])}
          <SelectField
            label={words.keyUnproven}
            name="while_unproven"
            options={(["refuse", "mark"] as const).map((value) => ({ value, text: words[`keyUnproven.${value}`] }))}
            value={policy.while_unproven}
          />
          <SelectField
            label={words.keyLongCycles}
            name="long_cycles"
            hint={words.keyLongRule}
            options={[
              { value: "no", text: words.keyLongNo },
              { value: "yes", text: words.keyLongYes },
            ]}
            value={policy.long_cycles ? "yes" : "no"}
          />
          <Field label={words.keyLockAfter} name="lock_after" value={String(policy.lock_after)} wrong={wrong["lock_after"]} />
          {seconds("lock_first_s", words.keyLockFirst, wrong["lock_first_s"])}
          {seconds("lock_longest_s", words.keyLockLongest, wrong["lock_longest_s"])}
          <Field label={words.keyDisableAt} name="disable_at" value={String(policy.disable_at)} wrong={wrong["disable_at"]} />
        </>
      )}
    </FormDialog>
  );
}
