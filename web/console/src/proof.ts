// An entry's way to the signed root, as RFC 9162 (section 2.1.3) walks it, and the same computed here.

/** One node that the entry's subtree is joined with on its way up. */
export interface Step {
  /** Which side the other node stands on. */
  readonly side: "left" | "right";
  /** The entries under the other node: `from` up to, not including, `to`. */
  readonly from: number;
  readonly to: number;
  readonly hash: string;
}

/** The steps from the leaf to the root, or nothing when the path's length does not fit the place. */
export function proofSteps(index: number, size: number, path: readonly string[]): readonly Step[] | undefined {
  const ranges: Omit<Step, "hash">[] = [];
  let [from, to] = [0, size];
  if (!(index >= 0 && index < size)) return undefined;
  while (to - from > 1) {
    const middle = from + split(to - from);
    if (index < middle) {
      ranges.push({ side: "right", from: middle, to });
      to = middle;
    } else {
      ranges.push({ side: "left", from, to: middle });
      from = middle;
    }
  }
  ranges.reverse();
  if (ranges.length !== path.length) return undefined;
  return ranges.map((range, at) => ({ ...range, hash: path[at]! }));
}

/** The largest power of two below a number greater than 1. Not by bits: a log may outgrow 32 of them. */
function split(leaves: number): number {
  let power = 1;
  while (power * 2 < leaves) power *= 2;
  return power;
}

export interface SignedHead {
  readonly origin: string;
  readonly size: number;
  readonly root: string;
}

/** The first three lines of a checkpoint. */
export function readCheckpoint(text: string): SignedHead | undefined {
  const [origin, size, root] = text.split("\n");
  if (origin === undefined || root === undefined || !/^(0|[1-9]\d{0,15})$/.test(size ?? "")) return undefined;
  return { origin, size: Number(size), root };
}

/** The tile of leaf hashes that holds an entry (C2SP tlog-tiles): whole, or as wide as the log is. */
export function tilePath(index: number, size: number): string {
  const tile = Math.floor(index / 256);
  const width = Math.min(256, size - tile * 256);
  const digits = String(tile).padStart(Math.ceil(String(tile).length / 3) * 3, "0");
  const groups = digits.match(/\d{3}/g) ?? [];
  const name = groups.map((group, at) => (at === groups.length - 1 ? group : `x${group}`)).join("/");
  return `/tile/0/${name}${width === 256 ? "" : `.p/${width}`}`;
}

/** The root that an entry's text and its path lead to. Needs the browser's own SHA-256, which it gives to HTTPS pages. */
export async function rootOf(text: string, steps: readonly Step[]): Promise<string> {
  let hash = await digest(0, new TextEncoder().encode(text));
  for (const step of steps) {
    const other = fromBase64(step.hash);
    hash = step.side === "left" ? await digest(1, other, hash) : await digest(1, hash, other);
  }
  return toBase64(hash);
}

async function digest(prefix: 0 | 1, ...parts: readonly Uint8Array[]): Promise<Uint8Array> {
  const bytes = new Uint8Array(1 + parts.reduce((sum, part) => sum + part.length, 0));
  bytes[0] = prefix;
  let at = 1;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
}

function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}
