// What third parties are shown, in English.

export const parties = {
  customerPages: "Pages of this customer",
  pageNow: "Now",
  pagePeriods: "By period",
  pageTrend: "Trend",
  pageChain: "Traceability",
  pageSharing: "Reports and links",

  // Which period
  month: "Month",
  monthOther: "Other days",
  dayFrom: "From the beginning of",
  dayTo: "To the beginning of",
  zoneOf: (p: { zone: string }) => `Days and months begin where the customer is: ${p.zone}.`,
  notOver: "This period is not over: it is shown up to now.",
  periodLength: (p: { length: string; hours: string }) => `${p.length} (${p.hours} hours)`,
  periodDays: (p: { from: string; to: string }) => `the time from ${p.from} to ${p.to}`,

  // By period
  serversAll: (p: { customer: string; tolerance: string; period: string; count: string }) =>
    p.count === "1"
      ? `The one server of ${p.customer} was within ${p.tolerance} for all of ${p.period}.`
      : `All ${p.count} servers of ${p.customer} were within ${p.tolerance} for all of ${p.period}.`,
  serversPart: (p: { customer: string; tolerance: string; period: string; share: string; rest: string }) =>
    `The servers of ${p.customer} were within ${p.tolerance} for ${p.share} of ${p.period}; ${p.rest}.`,
  serversNever: (p: { customer: string; tolerance: string; period: string; rest: string }) =>
    `No server of ${p.customer} is shown to be within ${p.tolerance} at any time of ${p.period}; ${p.rest}.`,
  serversNone: (p: { customer: string; period: string }) => `${p.customer} had no servers in ${p.period}.`,
  serversNoneNext: "Choose a later period, or enrol a server.",
  theirTolerance: "their tolerance",
  ofServers: "Servers in this period",
  exchanges: "Exchanges",
  intervals: "Intervals",
  intervalsOf: (p: { agent: string }) => `Every interval of ${p.agent}`,
  intervalsLeftOut: (p: { count: string }) => `${p.count} more are left out; choose a shorter period to see each.`,
  mainReason: "Why, above all",
  tolerancesHeld: "Tolerance",
  toleranceSince: (p: { tolerance: string; when: string }) => `${p.tolerance} from ${p.when} on`,
  saveJson: "Save as JSON",
  saveReport: "Save the report",
  reportFrom: (p: { when: string; size: string }) => `Made ${p.when}, ${p.size}. It is one file; anyone can check it without this centre:`,

  // Trend
  driftFirst: (p: { agent: string; ppm: string; low: string; high: string; period: string }) =>
    `${p.agent} drifted by ${p.ppm} in ${p.period} (95 % sure: between ${p.low} and ${p.high}).`,
  driftNone: (p: { agent: string; period: string }) => `There is too little of ${p.agent} in ${p.period} to tell how its clock ran.`,
  driftWhat:
    "Drift is how fast the offset changed: positive where the server’s clock runs slow. It is the clock as it was kept, corrections of a time service included.",
  runs: "Runs",
  runsWhat: (p: { count: string }) =>
    p.count === "1" ? "The clock was never set or left unwatched." : `The clock was set or not watched in between; nothing is reckoned across (${p.count} runs).`,
  drift: "Drift",
  allan: "Allan deviation",
  allanWhat: "How much the clock’s rate varies from one stretch of this length to the next. A slope of −1/2 is white noise of the rate; where the curve turns up, the rate wanders.",
  allanTau: "Over stretches of",
  allanSigma: "Deviation",
  allanTerms: "Terms",
  histogramOffset: "Offsets",
  histogramDelay: "Delays, one way",
  histogramBar: (p: { from: string; to: string; count: string }) => `${p.from} to ${p.to}: ${p.count}`,
  histogramBeyond: (p: { count: string }) => `${p.count} lie beyond the ends.`,
  percentile: "No larger than this",
  least: "least",
  median: "median",
  greatest: "greatest",
  inFigures: "In figures",

  // Traceability
  chainFirst: (p: { agent: string; typical: string; greatest: string; share: string; period: string }) =>
    `From the reference to ${p.agent} the bounds add up to ${p.typical} typically and ${p.greatest} at most; the whole chain was shown for ${p.share} of ${p.period}.`,
  chainNone: (p: { customer: string; period: string }) => `Nothing leads from the reference to a server of ${p.customer} in ${p.period}.`,
  chainWhat:
    "The chain that RTS 25 (Commission Delegated Regulation (EU) 2017/574, Article 4) asks for: from what the centre stands on, over the centre, to each server. The bounds of each exchange are added as they are.",
  chainDeclared: "This chain begins with a clock that the operator declared to be right. Against UTC it shows nothing by itself.",
  chainHeads: "What the centre stood on",
  "head.unknown": "nothing",
  "head.declared": "its own clock, declared",
  "head.upstreams": "time servers",
  "head.reference-clock": "a reference clock",
  calibratedBy: (p: { by: string }) => `calibrated by ${p.by}`,
  link: "Link",
  "link.head": "the reference itself",
  "link.centre": "reference to centre",
  "link.exchange": "centre to server",
  "link.between": "from one exchange to the next",
  linkSum: "all together",
  typical: "Typical",
  atMost: "At most",
  broken: "Broken for",
  since: "Since",
  source: "Source",
  adds: "Adds",
  rts25: "Within a divergence from the reference of",
  rts25Share: (p: { limit: string; share: string }) => `${p.limit}: ${p.share}`,
  gaps: "Gaps",
  gapsNone: "The chain was never broken.",

  // Links and reports
  sharingFirst: (p: { customer: string; count: string }) =>
    p.count === "1" ? `1 link to ${p.customer} is good now.` : `${p.count} links to ${p.customer} are good now.`,
  sharingNone: (p: { customer: string }) => `No link shows anything of ${p.customer} now.`,
  sharingWhat:
    "Whoever has a link sees one period, and nothing else, without signing in. Each view is counted and stands in the log. A link ends by itself, and can be taken back at once.",
  shareMake: "Make a link",
  shareHolder: "For whom",
  shareHolderHint: "Only you see it. Whoever opens the link is not told.",
  shareDays: "Good for",
  shareLanguage: "Language of the report",
  shareMade: (p: { name: string }) => `The link for ${p.name}`,
  shareMadeNext: "Send it on a way that only its reader sees.",
  shareRevoke: (p: { name: string }) => `Take back the link for ${p.name}?`,
  shareRevokeWhat: "It shows nothing from then on. What was saved by it stays where it is.",
  takeBack: "Take back",
  takenBack: "taken back",
  ended: "ended",
  views: "Views",
  viewsNone: "not yet",
  monthlyReports: "Reports of months",
  monthlyWhat: "An hour after a month is over where the customer is, its report is made and kept. The files of the newest 36 are kept.",
  monthlyNone: "There is none yet: the first comes when a month is over.",
  monthlyMake: "Make it now",
  made: "Made",
  size: "Size",
  saveFile: "Save",
  noFile: "no file",

  // The page of a link
  sharedTitle: "A period, shared",
  sharedAsk: "Somebody shares with you how right the clocks of some servers were.",
  sharedAskWhat: "What you open is counted. No cookie is set, and nothing else is kept about you.",
  sharedOpen: "Show it",
  sharedEnds: "This link is good until",
  sharedGone: "This link shows nothing (any more).",
  sharedGoneNext: "It may have ended or been taken back, or its address is not whole. Ask whoever sent it to you.",
  sharedBy: "Shown by",

  "kind.time.share": "share link",
  "kind.time.share-view": "share link viewed",
  "kind.time.monthly": "month reported on",
};
