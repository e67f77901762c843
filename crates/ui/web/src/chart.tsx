/**
 * One chart: lines over time with a shared cursor, zoom by dragging, and a legend that is a table.
 *
 * Names are text nodes and canvas text only. uPlot draws; the legend is the part that a screen
 * reader and a keyboard reach.
 */
import { useSignal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { formatAxis, formatTime, formatValue, type Zone } from "./format";
import { largest, mean, newest, type Column } from "./stats";
import { isDark } from "./theme";
import { chooseSpan, span, zone } from "./url";

export interface Line {
  label: string;
  values: Column;
  /** `limit` is drawn dashed and never stacked under a fill. */
  kind: "line" | "area" | "limit" | "peak";
}

/** A vertical line with a word, such as a deploy. */
export interface Marker {
  time_s: number;
  label: string;
}

/** Lines with a color of their own; further ones begin again. */
const COLORS = 10;
/** Lines a legend shows before it is folded. */
const LEGEND_MAX = 8;
const BINARY = Array.from({ length: 60 }, (_, power) => 2 ** power);

function color(line: Line, index: number): string {
  const name = line.kind === "limit" ? "--limit" : line.kind === "peak" ? "--peak"
    : `--line-${index % COLORS}`;
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function style(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function axes(unit: string, at: Zone): uPlot.Axis[] {
  const base = {
    stroke: style("--dim"), font: "11px system-ui, sans-serif",
    grid: { stroke: style("--grid"), width: 1 }, ticks: { show: false },
  };
  return [
    {
      ...base, space: 64, size: 26,
      values: (_, splits, __, ___, increment) => formatAxis(splits, increment, at),
    },
    {
      ...base, size: 74, gap: 4, space: 28,
      ...(unit === "bytes" ? { incrs: BINARY } : {}),
      values: (_, splits) => splits.map((value) => formatValue(value, unit)),
    },
  ];
}

function drawMarkers(chart: uPlot, markers: Marker[]): void {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.strokeStyle = style("--deploy");
  ctx.fillStyle = style("--deploy");
  ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
  ctx.textAlign = "left";
  ctx.textBaseline = "alphabetic";
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
  for (const marker of markers) {
    const x = chart.valToPos(marker.time_s, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    const width = ctx.measureText(marker.label).width;
    const isRoom = x + width + 6 < bbox.left + bbox.width;
    ctx.fillText(marker.label, isRoom ? x + 4 : x - width - 4, bbox.top + 11 * devicePixelRatio);
  }
  ctx.restore();
}

function options(
  props: ChartProps, width: number, at: Zone, seen: (index: number | null) => void,
): uPlot.Options {
  return {
    width, height: props.height ?? 190,
    tzDate: (time) => (at === "utc" ? uPlot.tzDate(new Date(time * 1000), "Etc/UTC")
      : new Date(time * 1000)),
    legend: { show: false },
    padding: [10, 12, 0, 0],
    cursor: {
      // Only the place of the cursor is shared: a drag zooms once, from the chart it is on.
      sync: {
        key: "time", setSeries: false,
        filters: { pub: (kind) => kind === "mousemove" || kind === "mouseleave" },
      },
      drag: { x: true, y: false, setScale: false },
      points: { size: 6 },
    },
    scales: {
      x: { time: true, range: () => [props.from_s, props.to_s] },
      y: {
        range: (_, __, max) => [0, Math.max((max ?? 0) * 1.08, props.top ?? 0) || 1],
      },
    },
    axes: axes(props.unit, at),
    series: [
      {},
      ...props.lines.map((line, index): uPlot.Series => {
        const stroke = color(line, index);
        return {
          label: line.label, stroke, width: line.kind === "limit" ? 1.25 : 1.5,
          points: { show: false }, spanGaps: false,
          ...(line.kind === "limit" ? { dash: [6, 4] } : {}),
          ...(line.kind === "peak" ? { dash: [2, 3] } : {}),
          ...(line.kind === "area" ? { fill: `${stroke}26` } : {}),
        };
      }),
    ],
    hooks: {
      draw: [(chart) => drawMarkers(chart, props.markers ?? [])],
      setCursor: [(chart) => seen(chart.cursor.idx ?? null)],
      setSelect: [
        (chart) => {
          if (chart.select.width < 6) return;
          const start = chart.posToVal(chart.select.left, "x");
          const end = chart.posToVal(chart.select.left + chart.select.width, "x");
          chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
          if (end - start >= 1) chooseSpan(start, end);
        },
      ],
    },
  };
}

export interface ChartProps {
  title: string;
  unit: string;
  times_s: number[];
  lines: Line[];
  from_s: number;
  to_s: number;
  /** What the axis reaches at least, in the unit. */
  top?: number;
  height?: number;
  markers?: Marker[];
  note?: string;
}

export function Chart(props: ChartProps) {
  const box = useRef<HTMLDivElement>(null);
  const at = useSignal<number | null>(null);
  const dark = isDark.value;
  const clock = zone.value;
  const shape = props.lines.map((line) => `${line.kind}:${line.label}`).join("\n");
  const data = useMemo(
    () => [props.times_s, ...props.lines.map((line) => line.values)] as uPlot.AlignedData,
    [props.times_s, props.lines],
  );
  const plot = useRef<uPlot | null>(null);
  useEffect(() => {
    const parent = box.current;
    if (!parent) return;
    const seen = (index: number | null) => {
      at.value = index;
    };
    const chart = new uPlot(options(props, parent.clientWidth, clock, seen), data, parent);
    plot.current = chart;
    const resized = new ResizeObserver(() => {
      if (parent.clientWidth > 0 && Math.abs(parent.clientWidth - chart.width) > 1) {
        chart.setSize({ width: parent.clientWidth, height: props.height ?? 190 });
      }
    });
    resized.observe(parent);
    return () => {
      resized.disconnect();
      chart.destroy();
      plot.current = null;
    };
  }, [shape, props.unit, dark, clock, props.from_s, props.to_s, props.top, props.markers]);
  useEffect(() => plot.current?.setData(data), [data]);
  const zoomOut = () => {
    const [start, end] = span.value;
    const half = (end - start) / 2;
    chooseSpan((start - half) / 1000, (end + half) / 1000);
  };
  return (
    <section class="chart" aria-label={props.title}>
      <header>
        <h3>{props.title}</h3>
        <span class="dim">{props.note}</span>
      </header>
      <div class="plot" ref={box} aria-hidden="true" onDblClick={zoomOut} />
      <Legend lines={props.lines} unit={props.unit} index={at.value}
        time_s={at.value === null ? null : props.times_s[at.value] ?? null} title={props.title} />
    </section>
  );
}

function Legend({ lines, unit, index, time_s, title }: {
  lines: Line[]; unit: string; index: number | null; time_s: number | null; title: string;
}) {
  const isOpen = useSignal(false);
  const shown = isOpen.value ? lines : lines.slice(0, LEGEND_MAX);
  return (
    <div class="legend">
      <table>
        <caption class="unseen">{title}</caption>
        <thead>
          <tr>
            <th scope="col">
              {time_s === null ? <span class="unseen">Line</span>
                : formatTime(time_s * 1000, zone.value)}
            </th>
            <th scope="col" class="n">{index === null ? "now" : "then"}</th>
            <th scope="col" class="n">mean</th>
            <th scope="col" class="n">max</th>
          </tr>
        </thead>
        <tbody>
          {shown.map((line, place) => (
            <tr key={`${place}${line.label}`}>
              <th scope="row" title={line.label}>
                <i class={`swatch swatch-${line.kind} color-${place % COLORS}`} />
                {line.label}
              </th>
              <td class="n">
                {formatValue(index === null ? newest(line.values) : line.values[index], unit)}
              </td>
              <td class="n">{formatValue(mean(line.values), unit)}</td>
              <td class="n">{formatValue(largest(line.values), unit)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      {lines.length > LEGEND_MAX && (
        <button type="button" class="quiet" aria-expanded={isOpen.value}
          onClick={() => { isOpen.value = !isOpen.value; }}>
          {isOpen.value ? "Fewer lines" : `All ${lines.length} lines`}
        </button>
      )}
    </div>
  );
}
