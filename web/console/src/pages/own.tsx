// One's own account: who is signed in, and the passkeys to sign in with.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { answer, api } from "@angbu/shared/client";
import { Fact } from "../parts/facts";
import { PasskeyTable, RegisterDialog } from "../parts/passkeys";
import { Loaded } from "../parts/loaded";
import { Notice } from "../parts/refusal";
import { useTitle } from "../parts/title";
import { hasPasskeys } from "../request/webauthn";
import { useResource } from "../resource";
import { useSession } from "../session";
import { useSpeech } from "../words";

export function OwnPage(): JSX.Element {
  const { words } = useSpeech();
  const { staff } = useSession();
  const [adding, setAdding] = useState(false);
  const loaded = useResource("own", () => answer(api.GET("/api/v1/session/passkeys")));
  useTitle(words.ownAccount);
  const close = (): void => {
    setAdding(false);
    loaded.reload();
  };
  return (
    <>
      <h1>{words.ownFirst({ name: staff.name })}</h1>
      <dl class="facts">
        <Fact name={words.role}>{words[`role.${staff.role}`]}</Fact>
        <Fact name={words.customer}>{staff.customer?.name ?? words.wholeSite}</Fact>
      </dl>
      <h2>{words.passkeys}</h2>
      <p>{words.passkeysWhy}</p>
      <Loaded of={loaded}>
        {({ passkeys }) => (
          <PasskeyTable
            passkeys={passkeys}
            revoke={async (passkey) => {
              await answer(api.DELETE("/api/v1/session/passkeys/{passkey}", { params: { path: { passkey } } }));
              loaded.reload();
            }}
          />
        )}
      </Loaded>
      {hasPasskeys() ? (
        <div class="actions">
          <button type="button" class="primary" onClick={() => setAdding(true)}>
            {words.passkeyAdd}
          </button>
        </div>
      ) : (
        <Notice kind="empty">
          <p>{words.passkeysNone}</p>
        </Notice>
      )}
      {adding && (
        <RegisterDialog
          close={close}
          begin={() => answer(api.POST("/api/v1/session/passkeys/begin"))}
          finish={(label, credential) => answer(api.POST("/api/v1/session/passkeys", { body: { label, credential } }))}
        />
      )}
    </>
  );
}
