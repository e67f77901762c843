/**
 * Small drawings: the sparkline, the bar of a limit and the load line.
 *
 * The load line is the mark on a ship's side that says how deep it may lie. Here the side is what
 * a node has, the water is what is used now, and the disc lies at the 95th percentile of the range.
 */
import { formatShare, formatValue } from "./format";
import { largest, type Column } from "./stats";

/** How near something is to its limit. */
export function depth(share: number | null): "calm" | "near" | "over" | "none" {
  if (share === null || Number.isNaN(share)) return "none";
  return share >= 0.95 ? "over" : share >= 0.8 ? "near" : "calm";
}

/** A line without axes; gaps stay gaps. `top`: what the full height stands for. */
export function Spark({ values, label, top }: { values: Column; label: string; top?: number | null }) {
  const width = 96;
  const height = 24;
  const most = Math.max(top ?? 0, largest(values) ?? 0) || 1;
  const x = (index: number) => (values.length < 2 ? 0 : (index * width) / (values.length - 1));
  const y = (value: number) => height - 1.5 - (value / most) * (height - 3);
  let line = "";
  let area = "";
  let begun = -1;
  values.forEach((value, index) => {
    const at = `${x(index).toFixed(1)} ${y(value ?? 0).toFixed(1)}`;
    if (value !== null) {
      line += `${begun < 0 ? "M" : "L"}${at}`;
      area += begun < 0 ? `M${x(index).toFixed(1)} ${height}L${at}` : `L${at}`;
      if (begun < 0) begun = index;
    }
    if (begun >= 0 && (value === null || index === values.length - 1)) {
      area += `L${x(value === null ? index - 1 : index).toFixed(1)} ${height}Z`;
      begun = -1;
    }
  });
  return (
    <svg class="spark" viewBox={`0 0 ${width} ${height}`} preserveAspectRatio="none" role="img"
      aria-label={label}>
      <path class="spark-area" d={area} />
      <path class="spark-line" d={line} />
    </svg>
  );
}

/** A bar from empty to the limit. */
export function LimitBar({ used, limit, label }: {
  used: number | null; limit: number | null; label: string;
}) {
  if (used === null || !limit) return null;
  const share = used / limit;
  return (
    <svg class={`limit-bar ${depth(share)}`} viewBox="0 0 100 4" preserveAspectRatio="none"
      role="img" aria-label={label}>
      <rect class="limit-all" width="100" height="4" rx="2" />
      <rect class="limit-used" width={Math.max(1, Math.min(100, share * 100))} height="4" rx="2" />
    </svg>
  );
}

export interface Load {
  name: string;
  unit: string;
  now: number | null;
  p95: number | null;
  limit: number | null;
}

/** The load line of one resource of a node. */
export function LoadLine({ load }: { load: Load }) {
  const { limit } = load;
  const now = limit && load.now !== null ? load.now / limit : null;
  const p95 = limit && load.p95 !== null ? load.p95 / limit : null;
  const deck = 8;
  const keel = 104;
  const y = (share: number) => keel - Math.max(0, Math.min(1.04, share)) * (keel - deck);
  const water = now === null ? keel : y(now);
  const mark = p95 === null ? null : y(p95);
  const text = limit === null || limit === undefined
    ? `${load.name}: ${formatValue(load.now, load.unit)}, limit not known`
    : `${load.name}: ${formatShare(now)} of ${formatValue(limit, load.unit)} now, `
      + `95th percentile ${formatShare(p95)}`;
  return (
    <figure class={`load ${depth(p95 === null ? now : Math.max(p95, now ?? 0))}`}>
      <svg viewBox="0 0 100 112" role="img" aria-label={text}>
        <path class="load-hull" d={`M6 ${deck}H62V${keel - 12}Q62 ${keel} 50 ${keel}H18Q6 ${keel} 6 ${keel - 12}Z`} />
        {now !== null && (
          <svg x="0" y={water} width="68" height={Math.max(0, 112 - water)}
            viewBox={`0 ${water} 68 ${Math.max(0.1, 112 - water)}`} preserveAspectRatio="none">
            <path class="load-water"
              d={`M6 ${deck}H62V${keel - 12}Q62 ${keel} 50 ${keel}H18Q6 ${keel} 6 ${keel - 12}Z`} />
          </svg>
        )}
        {now !== null && <path class="load-surface" d={`M6 ${water}H62`} />}
        {[0.25, 0.5, 0.75, 1].map((share) => (
          <path key={share} class="load-tick" d={`M66 ${y(share)}h${share === 1 ? 12 : 6}`} />
        ))}
        <text class="load-scale" x="80" y={deck + 3}>100</text>
        <text class="load-scale" x="75" y={y(0.5) + 3}>50</text>
        {mark !== null && (
          <g class="load-mark">
            <circle cx="34" cy={mark} r="8.5" />
            <path d={`M14 ${mark}H54`} />
          </g>
        )}
      </svg>
      <figcaption>
        <span class="load-name">{load.name}</span>
        <strong>{formatShare(now)}</strong>
        <span>{formatValue(load.now, load.unit)}</span>
        <span class="dim">of {formatValue(limit, load.unit)}</span>
        <span class="load-p95"><Disc /> p95 {formatShare(p95)}</span>
      </figcaption>
    </figure>
  );
}

/** The disc with its line, as a sign. */
export function Disc({ size = 12 }: { size?: number }) {
  return (
    <svg class="disc" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <circle cx="16" cy="16" r="9.5" />
      <path d="M1 16h30" />
    </svg>
  );
}
