/**
 * What charts a service, a node or a container has, and how lines come out of history answers.
 *
 * A chart is data: lines that each name a metric. Summed, every line is one line; by replica or
 * container, the lines marked `each` become one line per group and the rest goes away.
 */
import type { Line } from "./chart";
import { historyPath, type History } from "./api";
import type { Range } from "./range";
import { combine, mean, type Column } from "./stats";

export interface PanelLine {
  label: string;
  metric: string;
  kind: Line["kind"];
  field?: string;
  stat?: string;
  /** Divided by this metric, place by place: a share. */
  over?: string;
  /** Taken away from this metric, place by place. */
  from?: string;
  /** Stands when the chart is split; others go. */
  each?: boolean;
}

export interface Panel {
  id: string;
  title: string;
  unit: string;
  lines: PanelLine[];
}

const line = (label: string, metric: string, more: Partial<PanelLine> = {}): PanelLine => ({
  label, metric, kind: "line", ...more,
});

const CONTAINER: Panel[] = [
  {
    id: "cpu", title: "CPU", unit: "cores",
    lines: [
      line("used", "cpu", { kind: "area", each: true }),
      line("limit", "container_spec_cpu_limit_cores", { kind: "limit" }),
    ],
  },
  {
    id: "throttled", title: "CPU throttled", unit: "ratio",
    lines: [
      line("periods throttled", "container_cpu_cfs_throttled_periods_total", {
        over: "container_cpu_cfs_periods_total", kind: "area", each: true,
      }),
    ],
  },
  {
    id: "memory", title: "Memory", unit: "bytes",
    lines: [
      line("working set", "memory", { kind: "area", each: true }),
      line("page cache", "container_memory_cache"),
      line("peak", "container_memory_max_usage_bytes", { kind: "peak", stat: "max" }),
      line("limit", "container_spec_memory_limit_bytes", { kind: "limit" }),
    ],
  },
  {
    id: "io", title: "Block IO", unit: "bytes_per_second",
    lines: [
      line("read", "io", { field: "read_bytes" }),
      line("written", "io", { field: "write_bytes", each: true }),
    ],
  },
  {
    id: "network", title: "Network", unit: "bytes_per_second",
    lines: [
      line("received", "network", { field: "rx_bytes" }),
      line("sent", "network", { field: "tx_bytes", each: true }),
    ],
  },
  {
    id: "pids", title: "Processes and threads", unit: "count",
    lines: [line("pids", "container_threads", { each: true })],
  },
  {
    id: "stall", title: "Stalled (pressure)", unit: "seconds_per_second",
    lines: [
      line("CPU", "container_pressure_cpu_waiting_seconds_total", { each: true }),
      line("memory", "container_pressure_memory_waiting_seconds_total"),
      line("IO", "container_pressure_io_waiting_seconds_total"),
    ],
  },
];

const NODE: Panel[] = [
  {
    id: "node-cpu", title: "Node CPU", unit: "cores",
    lines: [
      line("user", "node_cpu.user_us", { kind: "area" }),
      line("system", "node_cpu.system_us"),
      line("waiting for IO", "node_cpu.iowait_us"),
      line("stolen", "node_cpu.steal_us"),
      line("cores", "machine_cpu_cores", { kind: "limit" }),
    ],
  },
  {
    id: "node-memory", title: "Node memory", unit: "bytes",
    lines: [
      line("used", "node_memory_MemAvailable_bytes", {
        from: "node_memory_MemTotal_bytes", kind: "area",
      }),
      line("page cache", "node_memory_Cached_bytes"),
      line("total", "node_memory_MemTotal_bytes", { kind: "limit" }),
    ],
  },
  {
    id: "node-load", title: "Load", unit: "load",
    lines: [
      line("1 min", "node_load1", { kind: "area" }),
      line("5 min", "node_load5"),
      line("15 min", "node_load15"),
      line("cores", "machine_cpu_cores", { kind: "limit" }),
    ],
  },
  {
    id: "node-disk", title: "Node disks", unit: "bytes_per_second",
    lines: [
      line("read", "node_disk_read_bytes_total"),
      line("written", "node_disk_written_bytes_total"),
    ],
  },
  {
    id: "node-network", title: "Node network", unit: "bytes_per_second",
    lines: [
      line("received", "node_network_receive_bytes_total"),
      line("sent", "node_network_transmit_bytes_total"),
    ],
  },
  {
    id: "node-stall", title: "Node stalled (pressure)", unit: "seconds_per_second",
    lines: [
      line("CPU", "node_pressure_cpu_waiting_seconds_total"),
      line("memory", "node_pressure_memory_waiting_seconds_total"),
      line("IO", "node_pressure_io_waiting_seconds_total"),
    ],
  },
];

export const PANELS = { container: CONTAINER, node: NODE };

/** What a split chart groups by: the label that names a line, and those that keep lines apart. */
export interface Split {
  by: string;
  name: (labels: Record<string, string>) => string;
}

/** The questions of a panel, and where each line's answers are. */
export function questions(
  panel: Panel, filter: Record<string, string>, range: Range, split: Split | null,
): string[] {
  return chosenLines(panel, split).flatMap((one) => {
    const ask = (metric: string) => historyPath(range, {
      metric, by: split?.by ?? "", stat: one.stat, ...filter,
    });
    const other = one.over ?? one.from;
    return other === undefined ? [ask(one.metric)] : [ask(one.metric), ask(other)];
  });
}

function chosenLines(panel: Panel, split: Split | null): PanelLine[] {
  return split ? panel.lines.filter((one) => one.each) : panel.lines;
}

/** Lines of one chart that are drawn at most; the ones with the largest mean. */
const LINES_MAX = 24;

/** Lines out of the answers to `questions`, and how many were left out. */
export function lines(panel: Panel, answers: History[], split: Split | null): [Line[], number] {
  const found: Line[] = [];
  let place = 0;
  for (const one of chosenLines(panel, split)) {
    const answer = answers[place];
    place += 1;
    const isPaired = one.over !== undefined || one.from !== undefined;
    const other = isPaired ? answers[place] : undefined;
    place += isPaired ? 1 : 0;
    for (const group of answer?.groups ?? []) {
      if (one.field !== undefined && group.labels["field"] !== one.field) continue;
      let values: Column = group.values;
      if (isPaired) {
        const key = JSON.stringify(group.labels);
        const base = other?.groups.find((same) => JSON.stringify(same.labels) === key);
        if (!base) continue;
        values = combine(values, base.values, one.over === undefined
          ? (part, whole) => whole - part
          : (part, whole) => (whole > 0 ? part / whole : null));
      }
      if (values.every((value) => value === null)) continue;
      const label = split ? split.name(group.labels) : one.label;
      found.push({ label, values, kind: split ? "line" : one.kind });
    }
  }
  if (!split) return [found, 0];
  const sorted = found.sort((a, b) => (mean(b.values) ?? 0) - (mean(a.values) ?? 0));
  return [sorted.slice(0, LINES_MAX), Math.max(0, sorted.length - LINES_MAX)];
}
