/**
 * A PromQL box: as a chart over the range or as a table of now, with a CSV to take away.
 */
import { useSignal } from "@preact/signals";
import { useMemo } from "preact/hooks";
import { useAnswers } from "../api";
import { Chart, type Line } from "../chart";
import { formatTime, formatValue } from "../format";
import { QueryBox } from "./query_box";
import { Empty, Failed, Loading } from "../states";
import { choice, choose, now_ms, range, span, zone } from "../url";
import { past, remember } from "../past";

type Pair = [number, string];
interface Series { metric: Record<string, string>; value?: Pair; values?: Pair[] }
export interface PromAnswer { resultType: string; result: Series[] | Pair }

/** Lines that are drawn at most; all of them are in the CSV. */
const LINES_MAX = 50;

const EXAMPLES = [
  "sum by (service) (rate(container_cpu_usage_seconds_total[5m]))",
  "topk(5, container_memory_working_set_bytes)",
  "sum by (node) (rate(container_network_receive_bytes_total[5m]))",
];

/** A series as it is written in PromQL. */
export function seriesName(labels: Record<string, string>): string {
  const { __name__: name = "", ...rest } = labels;
  const pairs = Object.entries(rest).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return pairs.length === 0 && name !== "" ? name : `${name}{${pairs.join(", ")}}`;
}

/** What the values are, as far as the expression tells. */
function unitOf(expression: string): string {
  const isRate = /\b(?:i?rate|deriv)\s*\(/.test(expression);
  if (/_bytes(?:_total)?\b/.test(expression) && !/\/|count/.test(expression)) {
    return isRate ? "bytes_per_second" : "bytes";
  }
  return isRate && /cpu_usage_seconds_total/.test(expression) && !expression.includes("/")
    ? "cores" : "";
}

export function Explore() {
  const expression = choice("expr");
  const isTable = choice("as") === "table";
  const run = (text: string) => {
    remember(text);
    choose({ expr: text });
  };
  return (
    <>
      <div class="head"><h1>Explore</h1></div>
      <QueryBox key={expression} expression={expression} run={run} />
      {expression === "" ? (
        <Empty title="Ask in PromQL">
          <ul class="examples">
            {EXAMPLES.map((text) => (
              <li key={text}><button type="button" class="quiet" onClick={() => run(text)}>
                <code>{text}</code>
              </button></li>
            ))}
          </ul>
        </Empty>
      ) : (
        <>
          <div class="bar">
            <div class="segments" role="group" aria-label="Show as">
              <button type="button" aria-pressed={!isTable} onClick={() => choose({ as: null })}>
                Chart over the range
              </button>
              <button type="button" aria-pressed={isTable} onClick={() => choose({ as: "table" })}>
                Table at its end
              </button>
            </div>
          </div>
          {isTable ? <AtEnd expression={expression} /> : <OverRange expression={expression} />}
        </>
      )}
      <Past run={run} />
    </>
  );
}

function Past({ run }: { run: (text: string) => void }) {
  if (past.value.length === 0) return null;
  return (
    <details class="past">
      <summary>Asked before</summary>
      <ul class="examples">
        {past.value.map((text) => (
          <li key={text}><button type="button" class="quiet" onClick={() => run(text)}>
            <code>{text}</code>
          </button></li>
        ))}
      </ul>
    </details>
  );
}

const number = (text: string): number =>
  text === "+Inf" ? Infinity : text === "-Inf" ? -Infinity : Number(text);

function OverRange({ expression }: { expression: string }) {
  const over = range(240);
  const query = new URLSearchParams({
    query: expression, start: String(over.from_s), end: String(over.to_s), step: String(over.step_s),
  });
  const { data, error, loading } = useAnswers<PromAnswer>(
    [`api/v1/query_range?${query}`], `range ${expression}`,
  );
  const series = (data?.[0]?.result ?? []) as Series[];
  const [times_s, lines] = useMemo(() => columns(series, over), [data]);
  if (error) return <Failed error={error} />;
  if (!data) return <Loading what="an answer" />;
  if (series.length === 0) {
    return <Empty title="No series matches in this range"><p>Check names and labels, or choose a longer range.</p></Empty>;
  }
  const drawn = lines.slice(0, LINES_MAX);
  return (
    <div class="explored" aria-busy={loading}>
      <Chart title={expression} unit={unitOf(expression)} times_s={times_s} lines={drawn}
        from_s={over.from_s} to_s={over.to_s} height={340}
        note={lines.length > LINES_MAX ? `${LINES_MAX} of ${lines.length} series` : `${lines.length} series`} />
      <Csv rows={() => csvOfColumns(times_s, lines)} />
    </div>
  );
}

/** Series with times of their own on one axis. */
function columns(
  series: Series[], over: { from_s: number; to_s: number; step_s: number },
): [number[], Line[]] {
  const length = Math.floor((over.to_s - over.from_s) / over.step_s) + 1;
  const times = Array.from({ length }, (_, index) => over.from_s + index * over.step_s);
  const lines = series.map(({ metric, values = [] }): Line => {
    const column: (number | null)[] = new Array(length).fill(null);
    for (const [time, text] of values) {
      const place = Math.round((time - over.from_s) / over.step_s);
      const value = number(text);
      if (place >= 0 && place < length && Number.isFinite(value)) column[place] = value;
    }
    return { label: seriesName(metric), values: column, kind: "line" };
  });
  return [times, lines];
}

function AtEnd({ expression }: { expression: string }) {
  const end_s = Math.floor(span.value[1] / 1000);
  const query = new URLSearchParams({ query: expression, time: String(end_s) });
  const { data, error } = useAnswers<PromAnswer>(
    [`api/v1/query?${query}`], `now ${expression}`, now_ms.value,
  );
  if (error) return <Failed error={error} />;
  if (!data?.[0]) return <Loading what="an answer" />;
  const { resultType, result } = data[0];
  const rows: [string, string][] = resultType === "vector" || resultType === "matrix"
    ? (result as Series[]).map(({ metric, value, values }) => [
      seriesName(metric), value?.[1] ?? `${values?.length ?? 0} samples`,
    ])
    : [["", String((result as Pair)[1])]];
  if (rows.length === 0) return <Empty title="No series matches at this time" />;
  const unit = unitOf(expression);
  const shown = [...rows].sort((a, b) => (number(b[1]) || 0) - (number(a[1]) || 0));
  return (
    <div class="explored">
      <p class="dim">At {formatTime(end_s * 1000, zone.value)}, {rows.length} series</p>
      <div class="scroll">
        <table class="grid">
          <thead><tr><th scope="col">Series</th><th scope="col" class="n">Value</th></tr></thead>
          <tbody>
            {shown.map(([name, value]) => (
              <tr key={name}>
                <th scope="row" class="break"><code>{name || "value"}</code></th>
                <td class="n" title={value}>
                  {Number.isNaN(number(value)) ? value : formatValue(number(value), unit)}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <Csv rows={() => [["series", "value"], ...rows]} />
    </div>
  );
}

function csvOfColumns(times_s: number[], lines: Line[]): string[][] {
  return [
    ["time", ...lines.map((line) => line.label)],
    ...times_s.map((time, index) => [
      new Date(time * 1000).toISOString(),
      ...lines.map((line) => String(line.values[index] ?? "")),
    ]),
  ];
}

/** A cell by RFC 4180; a text that a spreadsheet would run gets a `'` in front. */
function cell(text: string): string {
  const isFormula = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text));
  const safe = isFormula ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

function Csv({ rows }: { rows: () => string[][] }) {
  const copied = useSignal(false);
  const save = () => {
    const text = rows().map((row) => row.map(cell).join(",")).join("\r\n");
    const address = URL.createObjectURL(new Blob([text, "\r\n"], { type: "text/csv" }));
    const anchor = document.createElement("a");
    anchor.href = address;
    anchor.download = "plimsoll.csv";
    anchor.click();
    setTimeout(() => URL.revokeObjectURL(address), 10_000);
  };
  const copy = () => {
    navigator.clipboard?.writeText(location.href).then(() => {
      copied.value = true;
    }, () => {});
  };
  return (
    <p class="actions">
      <button type="button" onClick={save}>Download CSV</button>
      <button type="button" onClick={copy}>{copied.value ? "Link copied" : "Copy link"}</button>
    </p>
  );
}
