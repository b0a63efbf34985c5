// Between the centre's JSON and what the browser's passkeys take: bytes, where JSON has base64url.
import type { RegistrationQuestion, SignInQuestion } from "@angbu/shared/client";

export function bytesOf(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (each) => each.charCodeAt(0));
}

export function textOf(bytes: ArrayBuffer): string {
  const characters = Array.from(new Uint8Array(bytes), (each) => String.fromCharCode(each)).join("");
  return btoa(characters).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}

/** Whether this browser has passkeys at this address at all. */
export function hasPasskeys(): boolean {
  return window.isSecureContext && typeof window.PublicKeyCredential === "function";
}

/** The browser's or its holder's refusal: cancelled, timed out, nothing fitting, or registered already. */
export class PasskeyStopped extends Error {
  constructor(readonly registered: boolean) {
    super("no passkey came of it");
  }
}

export interface RegistrationJson {
  readonly id: string;
  readonly type: "public-key";
  readonly response: { readonly clientDataJSON: string; readonly attestationObject: string };
}

export interface SignInJson {
  readonly id: string;
  readonly type: "public-key";
  readonly response: {
    readonly clientDataJSON: string;
    readonly authenticatorData: string;
    readonly signature: string;
    readonly userHandle: string | null;
  };
}

/** Makes a passkey, with whatever the browser asks its holder for on the way. */
export async function makePasskey(question: RegistrationQuestion): Promise<RegistrationJson> {
  const made = await told(
    navigator.credentials.create({
      publicKey: {
        rp: question.rp,
        user: { ...question.user, id: bytesOf(question.user.id) },
        challenge: bytesOf(question.challenge),
        pubKeyCredParams: question.pubKeyCredParams.map(({ alg }) => ({ type: "public-key", alg })),
        timeout: question.timeout,
        excludeCredentials: question.excludeCredentials.map(({ id }) => ({ type: "public-key", id: bytesOf(id) })),
        authenticatorSelection: {
          residentKey: question.authenticatorSelection.residentKey as ResidentKeyRequirement,
          userVerification: question.authenticatorSelection.userVerification as UserVerificationRequirement,
        },
        attestation: question.attestation as AttestationConveyancePreference,
      },
    }),
  );
  const response = made.response as AuthenticatorAttestationResponse;
  return {
    id: made.id,
    type: "public-key",
    response: { clientDataJSON: textOf(response.clientDataJSON), attestationObject: textOf(response.attestationObject) },
  };
}

/** Answers the question of a sign-in with a passkey that its holder chooses. */
export async function usePasskey(question: SignInQuestion): Promise<SignInJson> {
  const used = await told(
    navigator.credentials.get({
      publicKey: {
        challenge: bytesOf(question.challenge),
        timeout: question.timeout,
        rpId: question.rpId,
        allowCredentials: question.allowCredentials.map(({ id }) => ({ type: "public-key", id: bytesOf(id) })),
        userVerification: question.userVerification as UserVerificationRequirement,
      },
    }),
  );
  const response = used.response as AuthenticatorAssertionResponse;
  return {
    id: used.id,
    type: "public-key",
    response: {
      clientDataJSON: textOf(response.clientDataJSON),
      authenticatorData: textOf(response.authenticatorData),
      signature: textOf(response.signature),
      userHandle: response.userHandle === null ? null : textOf(response.userHandle),
    },
  };
}

async function told(asked: Promise<Credential | null>): Promise<PublicKeyCredential> {
  try {
    const credential = await asked;
    if (credential !== null) return credential as PublicKeyCredential;
  } catch (error) {
    if (!(error instanceof DOMException)) throw error;
    throw new PasskeyStopped(error.name === "InvalidStateError");
  }
  throw new PasskeyStopped(false);
}
