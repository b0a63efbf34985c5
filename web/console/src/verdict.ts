// Verdicts in words: the sentence that stands first on a page.
import type { Agent, ClockVerdict, Customer, Totals, Verdict } from "@angbu/shared/client";
import { count, duration, percent } from "./format";
import type { Language, Words } from "./words";

export const VERDICTS = ["within", "outside", "not-proven"] as const satisfies readonly Verdict[];

/** How many servers stand under each verdict. */
export interface Tally {
  readonly within: number;
  readonly outside: number;
  readonly notProven: number;
}

export function tally(agents: readonly Agent[]): Tally {
  const of = (verdict: Verdict): number => agents.filter((agent) => agent.verdict === verdict).length;
  return { within: of("within"), outside: of("outside"), notProven: of("not-proven") };
}

export function tallyOf(customer: Customer): Tally {
  return { within: customer.within, outside: customer.outside, notProven: customer.not_proven };
}

/** The verdict that a whole customer stands under: the worst of its servers'. */
export function worst(counts: Tally): Verdict {
  if (counts.outside > 0) return "outside";
  return counts.notProven > 0 || counts.within === 0 ? "not-proven" : "within";
}

interface Told {
  readonly words: Words;
  readonly language: Language;
  readonly reference: ClockVerdict;
}

/** "All 3 servers of demo are within 50 ms now, against …". */
export function customerSentence(told: Told, customer: string, toleranceNs: number, counts: Tally): string {
  const { words, language, reference } = told;
  const total = counts.within + counts.outside + counts.notProven;
  if (total === 0) return words.noServers({ customer });
  if (reference === "unproven") return words.clockUnproven;
  const against = words[`against.${reference}`];
  const said = { customer, tolerance: duration(toleranceNs), against, count: count(total, language) };
  if (counts.within === total) return total === 1 ? words.allWithinOne(said) : words.allWithin(said);
  return words.someWithin({ ...said, within: count(counts.within, language), rest: rest(told, counts) });
}

/** The same over all customers, whose tolerances differ. */
export function siteSentence(told: Told, customers: readonly Customer[]): string {
  const { words, language, reference } = told;
  const [only] = customers;
  if (only === undefined) return words.noCustomers;
  if (customers.length === 1) return customerSentence(told, only.name, only.tolerance_ns, tallyOf(only));
  const counts = customers.map(tallyOf).reduce((sum, each) => ({
    within: sum.within + each.within,
    outside: sum.outside + each.outside,
    notProven: sum.notProven + each.notProven,
  }));
  const total = counts.within + counts.outside + counts.notProven;
  if (total === 0) return words.noServersAtAll;
  if (reference === "unproven") return words.clockUnproven;
  const said = {
    count: count(total, language),
    customers: count(customers.length, language),
    against: words[`against.${reference}`],
  };
  if (counts.within === total) return words.everyWithin(said);
  return words.everySome({ ...said, within: count(counts.within, language), rest: rest(told, counts) });
}

/** "db-3 was within 50 ms for 99.2 % of the last 24 hours; 0.8 % is not proven." */
export function periodSentence(words: Words, agent: string, toleranceNs: number, period: string, totals: Totals): string {
  const whole = totals.within_ms + totals.outside_ms + totals.not_proven_ms;
  const said = { agent, tolerance: duration(toleranceNs), period };
  if (whole > 0 && totals.within_ms === whole) return words.wasAll(said);
  const parts = [
    totals.outside_ms > 0 ? words.partOutside({ share: percent(totals.outside_ms, whole) }) : "",
    totals.not_proven_ms > 0 || whole === 0 ? words.partNotProven({ share: percent(totals.not_proven_ms, whole) }) : "",
  ];
  const remainder = parts.filter((part) => part !== "").join(words.and);
  if (totals.within_ms === 0) return words.wasNone({ ...said, rest: remainder });
  return words.wasPart({ ...said, share: percent(totals.within_ms, whole), rest: remainder });
}

export function verdictWord(words: Words, verdict: Verdict): string {
  return words[verdict];
}

export function verdictLong(words: Words, verdict: Verdict, toleranceNs: number): string {
  if (verdict === "not-proven") return words.notProvenLong;
  const said = { tolerance: duration(toleranceNs) };
  return verdict === "within" ? words.withinLong(said) : words.outsideLong(said);
}

function rest({ words, language }: Told, counts: Tally): string {
  return [
    counts.outside > 0 ? words.restOutside({ count: count(counts.outside, language) }) : "",
    counts.notProven > 0 ? words.restNotProven({ count: count(counts.notProven, language) }) : "",
  ]
    .filter((part) => part !== "")
    .join(words.and);
}
