/**
 * Asks for what a panel needs and draws it, or says why there is nothing to draw.
 */
import { useMemo } from "preact/hooks";
import { useAnswers, type History } from "./api";
import { Chart, type Marker } from "./chart";
import { formatShare } from "./format";
import { lines, questions, type Panel, type Split } from "./panels";
import { Failed } from "./states";
import { range } from "./url";

/** Values a line has at most; a chart is seldom wider in pixels that differ. */
const POINTS = 240;

export function PanelChart({ panel, filter, split, about, markers }: {
  panel: Panel; filter: Record<string, string>; split: Split | null; about: string;
  markers: Marker[];
}) {
  const over = range(POINTS);
  const key = `${panel.id} ${about} ${split?.by ?? ""}`;
  const { data, error, loading } = useAnswers<History>(
    questions(panel, filter, over, split), key,
  );
  const [drawn, left_out, times_s] = useMemo(() => {
    if (!data) return [[], 0, []] as const;
    const [found, rest] = lines(panel, data, split);
    return [found, rest, (data[0]?.times_ms ?? []).map((time) => time / 1000)] as const;
  }, [data, key]);
  if (error && !data) {
    return (
      <section class="chart" aria-label={panel.title}>
        <header><h3>{panel.title}</h3></header>
        <Failed error={error} compact />
      </section>
    );
  }
  if (!data || drawn.length === 0) {
    return (
      <section class={`chart quiet-chart${data ? " absent" : ""}`} aria-label={panel.title} aria-busy={loading}>
        <header>
          <h3>{panel.title}</h3>
          <span class="dim">{data ? "not reported in this range" : "asking …"}</span>
        </header>
        {!data && <div class="skeleton" aria-hidden="true" />}
      </section>
    );
  }
  const coverage = data[0]?.coverage ?? null;
  const notes = [
    coverage !== null && coverage < 0.995 ? `covers ${formatShare(coverage)}` : "",
    data[0] && data[0].resolution !== "raw" ? `from ${data[0].resolution} rollups` : "",
    left_out > 0 ? `${left_out} smaller lines left out` : "",
    error ? "could not be refreshed" : "",
  ];
  return (
    <Chart title={panel.title} unit={panel.unit} times_s={times_s as number[]}
      lines={drawn as never} from_s={over.from_s} to_s={over.to_s} markers={markers}
      note={notes.filter((note) => note !== "").join(" · ")} />
  );
}
