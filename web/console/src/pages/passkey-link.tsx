// The page of a link by which a person registers a passkey, at /passkeys#secret. It asks nothing until its reader does.
import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { answer, stranger } from "@angbu/shared/client";
import { Gnomon } from "../parts/mark";
import { Notice } from "../parts/refusal";
import { RegisterDialog } from "../parts/passkeys";
import { useTitle } from "../parts/title";
import { hasPasskeys } from "../request/webauthn";
import { useSpeech } from "../words";

export function PasskeyLinkPage(): JSX.Element {
  const { words } = useSpeech();
  const [state, setState] = useState<"closed" | "making" | "made">("closed");
  const secret = window.location.hash.slice(1);
  useTitle(words.passkeyAdd);
  return (
    <div class="narrow login">
      <Gnomon size={40} />
      <h1>{state === "made" ? words.passkeyMade : words.passkeyAdd}</h1>
      <p>{state === "made" ? words.passkeyMadeNext : words.passkeysWhy}</p>
      {!hasPasskeys() && (
        <Notice kind="refused">
          <p>{words.passkeysNone}</p>
        </Notice>
      )}
      {state !== "made" && hasPasskeys() && (
        <button type="button" class="primary" onClick={() => setState("making")}>
          {words.passkeyMake}
        </button>
      )}
      {state === "making" && (
        <RegisterDialog
          close={() => setState((now) => (now === "making" ? "closed" : now))}
          begin={() => answer(stranger.POST("/api/v1/passkeys/begin", { body: { secret } }))}
          finish={async (label, credential) => {
            await answer(stranger.POST("/api/v1/passkeys", { body: { secret, label, credential } }));
            setState("made");
          }}
        />
      )}
    </div>
  );
}
