import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { answer, api, type Customer, Refused, type Webhook } from "@angbu/shared/client";
import { count } from "../../format";
import { Act } from "../../parts/act";
import { FormDialog, OnceDialog, textOf } from "../../parts/dialog";
import { Field } from "../../parts/field";
import { Loaded } from "../../parts/loaded";
import { Notice, Refusal } from "../../parts/refusal";
import { Sure } from "../../parts/sure";
import { When } from "../../parts/when";
import { useResource } from "../../resource";
import { Link, useRouter } from "../../router";
import { useSpeech } from "../../words";
import { placed } from "./refused";

/** Which programs are told, and does anything arrive? */
export function Webhooks({ customer }: { readonly customer: Customer }): JSX.Element {
  const { words } = useSpeech();
  const [adding, setAdding] = useState(false);
  const [secret, setSecret] = useState<string>();
  const [rotating, setRotating] = useState<Webhook>();
  const [removing, setRemoving] = useState<Webhook>();
  const path = { customer: customer.id };
  const list = useResource(`webhooks ${customer.id}`, async () => {
    const found = await answer(api.GET("/api/v1/customers/{customer}/webhooks", { params: { path } }));
    return found.webhooks;
  });
  const add = async (form: FormData): Promise<void> => {
    const body = { url: textOf(form, "url") };
    const made = await answer(api.POST("/api/v1/customers/{customer}/webhooks", { params: { path }, body }));
    setAdding(false);
    setSecret(made.secret);
    list.reload();
  };
  const rotate = async ({ id }: Webhook): Promise<void> => {
    const params = { path: { ...path, webhook: id } };
    const made = await answer(api.POST("/api/v1/customers/{customer}/webhooks/{webhook}/secret", { params }));
    setSecret(made.secret);
    list.reload();
  };
  const remove = async ({ id }: Webhook): Promise<void> => {
    const params = { path: { ...path, webhook: id } };
    await answer(api.DELETE("/api/v1/customers/{customer}/webhooks/{webhook}", { params }));
    list.reload();
  };
  return (
    <section>
      <h2>{words.webhooks}</h2>
      <Loaded of={list}>
        {(webhooks) => (
          <>
            {webhooks.length === 0 && <p>{words.webhooksNone}</p>}
            {webhooks.length > 0 && (
              <ul class="plain">
                {webhooks.map((each) => (
                  <li key={each.id}>
                    <code>{each.url}</code> <Act text={words.webhookRotate} of={each.url} click={() => setRotating(each)} />{" "}
                    <Act text={words.webhookRemove} of={each.url} click={() => setRemoving(each)} />
                    {each.old_secret_until != null && (
                      <p class="soft">
                        {words.webhookBoth} <When at={each.old_secret_until} digits={0} />
                      </p>
                    )}
                  </li>
                ))}
              </ul>
            )}
          </>
        )}
      </Loaded>
      <p class="after">
        <button type="button" onClick={() => setAdding(true)}>
          {words.webhookAdd}
        </button>
      </p>
      <Test customer={customer} />
      {adding && (
        <FormDialog title={words.webhookAdd} action={words.add} close={() => setAdding(false)} run={add} place={placed(words, { invalid: "url" })}>
          {(wrong) => <Field label={words.webhookUrl} hint={words.webhookRule} name="url" value="https://" wrong={wrong["url"]} focus />}
        </FormDialog>
      )}
      {secret !== undefined && (
        <OnceDialog title={words.webhookSecret} secret={secret} close={() => setSecret(undefined)}>
          <p>{words.webhookSecretNext}</p>
        </OnceDialog>
      )}
      {rotating !== undefined && (
        <Sure title={words.webhookRotate} action={words.webhookRotate} close={() => setRotating(undefined)} run={() => rotate(rotating)}>
          {words.webhookRotateWhat}
        </Sure>
      )}
      {removing !== undefined && (
        <Sure
          title={words.webhookRemoveOne({ url: removing.url })}
          action={words.webhookRemove}
          close={() => setRemoving(undefined)}
          run={() => remove(removing)}
        >
          {words.webhookRemoveWhat}
        </Sure>
      )}
    </section>
  );
}

function Test({ customer }: { readonly customer: Customer }): JSX.Element {
  const { words, language } = useSpeech();
  const { address } = useRouter();
  const [sent, setSent] = useState<number>();
  const [refused, setRefused] = useState<Refused>();
  const send = async (): Promise<void> => {
    setSent(undefined);
    setRefused(undefined);
    try {
      const path = { customer: customer.id };
      const { deliveries } = await answer(api.POST("/api/v1/customers/{customer}/test", { params: { path } }));
      setSent(deliveries);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      setRefused(error);
    }
  };
  return (
    <>
      <p class="after">
        <button type="button" onClick={() => void send()}>
          {words.testSend}
        </button>
      </p>
      <p class="soft">
        {words.testWhat} <Link href={address("/messages", { customer: customer.name })}>{words.messages}</Link>
      </p>
      {sent !== undefined && (
        <Notice kind="done">
          <p>{words.testSent({ count: count(sent, language) })}</p>
        </Notice>
      )}
      {refused !== undefined && <Refusal refused={refused} />}
    </>
  );
}
