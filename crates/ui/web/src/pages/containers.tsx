/**
 * The containers of a service or a node, newest use first.
 */
import { historyPath, useAnswers, type Container, type History } from "../api";
import { formatAge, formatTime, formatValue, shortId, shortImage } from "../format";
import { Spark } from "../marks";
import { newest, type Column } from "../stats";
import { choice, choose, link, now_ms, range, zone } from "../url";

/** Rows shown before one asks for the rest. */
const ROWS_MAX = 100;

export function Containers({ found, of }: { found: Container[]; of: "service" | "node" }) {
  const over = range(40);
  const filter: Record<string, string> = of === "service"
    ? { cluster: choice("cluster"), stack: choice("stack"), service: choice("service") }
    : { cluster: choice("cluster"), node: choice("node") };
  const { data } = useAnswers<History>(
    ["cpu", "memory"].map((metric) => historyPath(over, { metric, by: "container_id", ...filter })),
    `containers ${JSON.stringify(filter)}`,
  );
  const columns = (data ?? []).map((answer) => new Map(
    answer.groups.map((group) => [group.labels["container_id"] ?? "", group.values]),
  ));
  const all = choice("all") === "1";
  const running = found.filter((one) => one.running);
  const sorted = [...(all ? found : running)].sort((a, b) =>
    Number(b.running) - Number(a.running)
    || (newest(columns[0]?.get(b.id) ?? []) ?? -1) - (newest(columns[0]?.get(a.id) ?? []) ?? -1));
  return (
    <section>
      <div class="bar">
        <h2>Containers <span class="dim">{sorted.length}</span></h2>
        {found.length > running.length && (
          <label class="check">
            <input type="checkbox" checked={all}
              onChange={() => choose({ all: all ? null : "1" }, true)} />
            {found.length - running.length} ended
          </label>
        )}
      </div>
      <div class="scroll">
        <table class="grid">
          <thead>
            <tr>
              <th scope="col">Container</th>
              <th scope="col">State</th>
              <th scope="col" class="n">CPU</th>
              <th scope="col" class="n">Memory</th>
              <th scope="col">{of === "service" ? "Node" : "Service"}</th>
              <th scope="col">Image</th>
              <th scope="col">Started</th>
            </tr>
          </thead>
          <tbody>
            {sorted.slice(0, ROWS_MAX).map((one) => (
              <Row key={one.id} one={one} of={of} cpu={columns[0]?.get(one.id) ?? []}
                memory={columns[1]?.get(one.id) ?? []} />
            ))}
          </tbody>
        </table>
      </div>
      {sorted.length > ROWS_MAX && (
        <p class="dim">The {ROWS_MAX} that use most CPU of {sorted.length}.</p>
      )}
    </section>
  );
}

function Row({ one, of, cpu, memory }: {
  one: Container; of: "service" | "node"; cpu: Column; memory: Column;
}) {
  const name = of === "service" && one.slot !== "" ? `${one.slot} · ${shortId(one.id)}` : one.name;
  return (
    <tr class={one.running ? "" : "gone"}>
      <th scope="row">
        <a data-in title={one.name}
          href={link("container", { container_id: one.id, name: one.name })}>{name}</a>
      </th>
      <td>
        <span class={`badge ${one.health === "unhealthy" ? "warn" : ""}`}>
          {one.health ?? one.state ?? (one.running ? "running" : "gone")}
        </span>
      </td>
      <td class="n">
        <span class="cell">
          <Spark values={cpu} label="CPU over the range" />
          <span>{formatValue(newest(cpu), "cores")}</span>
        </span>
      </td>
      <td class="n">
        <span class="cell">
          <Spark values={memory} label="Memory over the range" />
          <span>{formatValue(newest(memory), "bytes")}</span>
        </span>
      </td>
      <td>
        {of === "service"
          ? <a data-in href={link("node", { cluster: one.cluster, node: one.node })}>{one.node}</a>
          : (
            <a data-in href={link("service", {
              cluster: one.cluster, stack: one.stack, service: one.service,
            })}>{one.stack && <span class="stack">{one.stack} / </span>}{one.service}</a>
          )}
      </td>
      <td class="image" title={one.image}>{shortImage(one.image)}</td>
      <td title={one.started_at_ms === null ? "" : formatTime(one.started_at_ms, zone.value)}>
        {one.started_at_ms === null ? "–" : formatAge(one.started_at_ms, now_ms.value)}
      </td>
    </tr>
  );
}
