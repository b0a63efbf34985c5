// The client of the centre's API, generated from its OpenAPI document: no page writes a path or a type of its own.
import createClient from "openapi-fetch";
import type { components, paths } from "./api";

type Schemas = components["schemas"];
export type Agent = Schemas["Agent"];
export type AgentChain = Schemas["AgentChain"];
export type AgentPeriods = Schemas["AgentPeriods"];
export type AllanPoint = Schemas["AllanPoint"];
export type AskedPeriod = Schemas["AskedPeriod"];
export type Agents = Schemas["Agents"];
export type Calibration = Schemas["Calibration"];
export type Centre = Schemas["Centre"];
export type CentreOperations = Schemas["CentreOperations"];
export type CentreClock = Schemas["CentreClock"];
export type ChainHead = Schemas["ChainHead"];
export type Operations = Schemas["Operations"];
export type ClockState = Schemas["ClockState"];
export type ClockStretch = Schemas["ClockStretch"];
export type ClockVerdict = Schemas["ClockVerdict"];
export type Customer = Schemas["Customer"];
export type CustomerPeriods = Schemas["CustomerPeriods"];
export type Delivery = Schemas["Delivery"];
export type EnrolmentKind = Schemas["EnrolmentKind"];
export type EntryField = Schemas["EntryField"];
export type EntryPage = Schemas["EntryPage"];
export type EntryRow = Schemas["EntryRow"];
export type Exchange = Schemas["Exchange"];
export type Graph = Schemas["Graph"];
export type Growth = Schemas["Growth"];
export type GrowthPoint = Schemas["GrowthPoint"];
export type Head = Schemas["Head"];
export type Incident = Schemas["Incident"];
export type Key = Schemas["Key"];
export type KeyEnrolled = Schemas["KeyEnrolled"];
export type KeyImportReport = Schemas["KeyImportReport"];
export type KeyImportRow = Schemas["KeyImportRow"];
export type KeyPolicy = Schemas["KeyPolicy"];
export type KeyToken = Schemas["KeyToken"];
export type KeyTryRow = Schemas["KeyTryRow"];
export type KeptReport = Schemas["KeptReport"];
export type KindCount = Schemas["KindCount"];
export type Machine = Schemas["Machine"];
export type Mark = Schemas["Mark"];
export type OpenCode = Schemas["OpenCode"];
export type Passkey = Schemas["Passkey"];
export type Period = Schemas["Period"];
export type PeriodShares = Schemas["PeriodShares"];
export type Person = Schemas["Person"];
export type Point = Schemas["Point"];
export type Problem = Schemas["Problem"];
export type RegistrationQuestion = Schemas["RegistrationQuestion"];
export type RequestMethod = Schemas["RequestMethod"];
export type RequestShown = Schemas["RequestShown"];
export type Role = Schemas["Role"];
export type Session = Schemas["Session"];
export type Share = Schemas["Share"];
export type Shared = Schemas["Shared"];
export type SignInQuestion = Schemas["SignInQuestion"];
export type Spread = Schemas["Spread"];
export type SourceOverTime = Schemas["SourceOverTime"];
export type SourcePoint = Schemas["SourcePoint"];
export type StaffMember = Schemas["StaffMember"];
export type Token = Schemas["Token"];
export type Totals = Schemas["Totals"];
export type Traceability = Schemas["Traceability"];
export type Trend = Schemas["Trend"];
export type Verdict = Schemas["Verdict"];
export type Webhook = Schemas["Webhook"];
export type Witness = Schemas["Witness"];

// `fetch` is looked up at each call, not kept, so that a page under test may replace it.
export const api = createClient<paths>({ credentials: "same-origin", fetch: (request) => fetch(request) });

/** The same for whoever has a share link and no account: no cookie goes along, and none is kept. */
export const stranger = createClient<paths>({ credentials: "omit", fetch: (request) => fetch(request) });

/** A refusal in the form of RFC 9457, whoever refused: the centre, something before it, or the network. */
export class Refused extends Error {
  override readonly name = "Refused";

  constructor(readonly problem: Problem) {
    super(problem.detail ?? problem.title);
  }

  /** The last word of the problem's type: stable, short, and the same wherever the centre stands. */
  get kind(): string {
    return this.problem.type.split(/[/:#]/).pop() ?? "";
  }
}

/** The type of a problem that no centre sent: nothing answered at all. */
export const UNREACHABLE = "unreachable";

/** What a call answered, or a thrown `Refused`. */
export async function answer<T>(call: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  const { data, error, response } = await call.catch((cause: unknown) => {
    if (cause instanceof DOMException && cause.name === "AbortError") throw cause;
    throw new Refused({ type: UNREACHABLE, title: "no answer", status: 0 });
  });
  if (response.ok) return data as T;
  throw new Refused(problem(error, response));
}

function problem(error: unknown, response: Response): Problem {
  if (typeof error === "object" && error !== null && "type" in error && "title" in error) return error as Problem;
  return { type: "about:blank", title: response.statusText, status: response.status };
}

/** The address of the event stream, for `EventSource`, which takes no client. */
export function streamAddress(customer: string | undefined): string {
  const path: keyof paths = "/api/v1/time/stream";
  return customer === undefined ? path : `${path}?customer=${encodeURIComponent(customer)}`;
}
