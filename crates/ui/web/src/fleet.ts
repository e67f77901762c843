/**
 * Puts inventory and history together: one row per service, two loads per node.
 */
import type { Group, History, Inventory, Node, Service } from "./api";
import type { Load } from "./marks";
import { combine, newest, quantile, sum, type Column } from "./stats";

export interface ServiceRow {
  service: Service;
  cpu: Column;
  memory: Column;
  memory_limit: number | null;
  io: Column;
  network: Column;
}

function named(labels: Record<string, string>, of: { cluster: string; stack?: string; service?: string }) {
  return labels["cluster"] === of.cluster && labels["stack"] === of.stack
    && labels["service"] === of.service;
}

/** The fields of an answer that are added for one number: bytes both ways, not operations. */
function bytes(groups: Group[]): Column {
  return sum(groups.filter((group) => group.unit === "bytes_per_second").map((group) => group.values));
}

/** `answers`: CPU, memory, IO, network and memory limit, each by cluster, stack and service. */
export function serviceRows(found: Inventory, answers: History[] | null): ServiceRow[] {
  return found.services.map((service) => {
    const groups = (place: number) =>
      (answers?.[place]?.groups ?? []).filter((group) => named(group.labels, service));
    return {
      service,
      cpu: groups(0)[0]?.values ?? [],
      memory: groups(1)[0]?.values ?? [],
      io: bytes(groups(2)),
      network: bytes(groups(3)),
      memory_limit: newest(groups(4)[0]?.values ?? []),
    };
  });
}

/** `answers`: container CPU, idle, waiting, available memory, container memory; by cluster and node. */
export function nodeLoads(node: Node, answers: History[] | null): Load[] {
  const column = (place: number) => answers?.[place]?.groups.find((group) =>
    group.labels["cluster"] === node.cluster && group.labels["node"] === node.node)?.values;
  const { cpu_cores: cores, memory_total_bytes: total } = node;
  const idle = column(1);
  const waiting = column(2) ?? idle?.map(() => 0);
  const free = idle && waiting ? combine(idle, waiting, (a, b) => a + b) : undefined;
  const available = column(3);
  const cpu = free && cores !== null
    ? free.map((value) => (value === null ? null : Math.max(0, cores - value)))
    : column(0) ?? [];
  const memory = available && total !== null
    ? available.map((value) => (value === null ? null : total - value))
    : column(4) ?? [];
  return [
    { name: "CPU", unit: "cores", now: newest(cpu), p95: quantile(cpu, 0.95), limit: cores },
    { name: "Memory", unit: "bytes", now: newest(memory), p95: quantile(memory, 0.95), limit: total },
  ];
}
