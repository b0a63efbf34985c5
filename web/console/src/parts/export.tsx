import type { JSX } from "preact";
import { short } from "../period";
import { useSpeech } from "../words";

const FORMATS = ["csv", "parquet"] as const;

/** Files for other programs: what the centre sends while it writes it, straight to the disk. */
export function ExportLinks(props: { readonly agent: string; readonly bounds: () => readonly [number, number] }): JSX.Element {
  const { words } = useSpeech();
  const [from, to] = props.bounds();
  const tables = [
    ["exchanges", words.exportExchanges],
    ["periods", words.exportPeriods],
    ["summaries", words.exportSummaries],
  ] as const;
  const address = (what: string, format: string): string => {
    const query = new URLSearchParams({ what, format, from: short(from), to: short(to) });
    return `/api/v1/time/agents/${encodeURIComponent(props.agent)}/export?${query.toString()}`;
  };
  return (
    <details class="export">
      <summary>{words.exportFiles}</summary>
      <ul>
        {tables.map(([what, label]) => (
          <li key={what}>
            {label}:{" "}
            {FORMATS.map((format) => (
              <a key={format} href={address(what, format)} download aria-label={`${label}, ${format}`}>
                {format === "csv" ? "CSV" : "Parquet"}{" "}
              </a>
            ))}
          </li>
        ))}
      </ul>
    </details>
  );
}
