// Passkeys of the made-up site: everybody has the same.
import type { Passkey, RegistrationQuestion } from "@angbu/shared/client";

export const PASSKEYS: readonly Passkey[] = [
  { id: "psk_1", label: "Laptop", synced: false, created_at: "2026-10-02T01:20:00Z", last_used_at: "2026-11-20T00:11:00Z", doubted_at: null, revoked_at: null, entry: "01KAG0000000000000PASSKEY1" },
  { id: "psk_2", label: "휴대전화", synced: true, created_at: "2026-10-05T08:00:00Z", last_used_at: null, doubted_at: null, revoked_at: null, entry: "01KAG0000000000000PASSKEY2" },
  { id: "psk_3", label: "Key on the ring", synced: false, created_at: "2026-09-01T08:00:00Z", last_used_at: "2026-09-30T08:00:00Z", doubted_at: "2026-10-01T08:00:00Z", revoked_at: null, entry: "01KAG0000000000000PASSKEY3" },
];

/** What a real centre asks of a browser for a new passkey; nothing here keeps what comes of it. */
export function registration(name: string): RegistrationQuestion {
  return {
    rp: { id: "localhost", name: "made up" },
    user: { id: "AAAA", name, displayName: name },
    challenge: "AAAAAAAAAAAAAAAAAAAAAA",
    pubKeyCredParams: [{ type: "public-key", alg: -7 }],
    timeout: 300_000,
    excludeCredentials: [],
    authenticatorSelection: { residentKey: "preferred", userVerification: "required" },
    attestation: "none",
  };
}
