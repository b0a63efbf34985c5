import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { proofSteps, readCheckpoint, rootOf, tilePath } from "./proof";

const sha = (...parts: (Buffer | number[])[]): Buffer =>
  createHash("sha256").update(Buffer.concat(parts.map((part) => Buffer.from(part)))).digest();

/** RFC 6962 as it is written down, by recursion over the leaves. */
function tree(leaves: readonly Buffer[]): Buffer {
  if (leaves.length === 1) return leaves[0]!;
  const k = 2 ** (Math.ceil(Math.log2(leaves.length)) - 1);
  return sha([1], tree(leaves.slice(0, k)), tree(leaves.slice(k)));
}

function path(index: number, leaves: readonly Buffer[]): Buffer[] {
  if (leaves.length === 1) return [];
  const k = 2 ** (Math.ceil(Math.log2(leaves.length)) - 1);
  return index < k
    ? [...path(index, leaves.slice(0, k)), tree(leaves.slice(k))]
    : [...path(index - k, leaves.slice(k)), tree(leaves.slice(0, k))];
}

test("every entry of small logs leads to the root, by steps that cover the log once", async () => {
  for (let size = 1; size <= 20; size += 1) {
    const leaves = Array.from({ length: size }, (_, at) => sha([0], Buffer.from(`entry ${at}\n`)));
    for (let index = 0; index < size; index += 1) {
      const steps = proofSteps(index, size, path(index, leaves).map((hash) => hash.toString("base64")));
      expect(steps, `${index} of ${size}`).toBeDefined();
      expect(await rootOf(`entry ${index}\n`, steps!), `${index} of ${size}`).toBe(tree(leaves).toString("base64"));
      expect(steps!.reduce((sum, step) => sum + step.to - step.from, 1)).toBe(size);
    }
  }
});

test("a path that does not fit its place is no proof", () => {
  expect(proofSteps(0, 3, ["a"])).toBeUndefined();
  expect(proofSteps(3, 3, ["a", "b"])).toBeUndefined();
  expect(proofSteps(0, 0, [])).toBeUndefined();
  expect(proofSteps(0, 1, [])).toEqual([]);
});

test("sizes beyond 32 bits keep their steps", () => {
  const size = 2 ** 40 + 1;
  expect(proofSteps(size - 1, size, ["a"])).toEqual([{ side: "left", from: 0, to: 2 ** 40, hash: "a" }]);
});

test("tiles are named as C2SP names them", () => {
  expect(tilePath(0, 1)).toBe("/tile/0/000.p/1");
  expect(tilePath(255, 256)).toBe("/tile/0/000");
  expect(tilePath(256, 300)).toBe("/tile/0/001.p/44");
  expect(tilePath(1_234_067 * 256, 1e12)).toBe("/tile/0/x001/x234/067");
});

test("a checkpoint's first lines are read, and nothing else", () => {
  expect(readCheckpoint("o.example\n12\nroot=\n\n— sig\n")).toEqual({ origin: "o.example", size: 12, root: "root=" });
  expect(readCheckpoint("o.example\n012\nroot=\n")).toBeUndefined();
  expect(readCheckpoint("")).toBeUndefined();
});
