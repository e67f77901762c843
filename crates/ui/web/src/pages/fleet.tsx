/**
 * The fleet: what its nodes carry, and its services as a table or as cards.
 */
import { inventoryPath, useAnswers, historyPath, type History, type Inventory } from "../api";
import { formatCount } from "../format";
import { Failed, Empty, Loading } from "../states";
import { choice, now_ms, range } from "../url";
import { nodeLoads, serviceRows } from "../fleet";
import { NodeCard } from "./nodes";
import { Services } from "./services";

/** Values of a sparkline. */
const SPARK_POINTS = 60;

export function Fleet() {
  const over = range(SPARK_POINTS);
  const ask = (metric: string, by: string) => historyPath(over, { metric, by });
  const inventory = useAnswers<Inventory>([inventoryPath(over)], "fleet");
  const services = useAnswers<History>(
    ["cpu", "memory", "io", "network"].map((metric) => ask(metric, "cluster,stack,service")).concat(
      ask("container_spec_memory_limit_bytes", "cluster,stack,service"),
    ), "services",
  );
  const nodes = useAnswers<History>(
    [
      ask("cpu", "cluster,node"), ask("node_cpu.idle_us", "cluster,node"),
      ask("node_cpu.iowait_us", "cluster,node"),
      ask("node_memory_MemAvailable_bytes", "cluster,node"), ask("memory", "cluster,node"),
    ], "nodes",
  );
  const found = inventory.data?.[0];
  if (!found) {
    return inventory.error ? <Failed error={inventory.error} /> : <Loading what="the fleet" />;
  }
  if (found.containers.length === 0 && found.nodes.length === 0) {
    return (
      <Empty title="Nothing was running in this range of time">
        <p>
          A collector that has just been started needs one round, about ten seconds. If there should
          be something, look at <a data-in href="status">Status</a>, or choose a longer range.
        </p>
      </Empty>
    );
  }
  const running = found.containers.filter((container) => container.running).length;
  const alive = found.services.filter((service) => service.running > 0).length;
  const rows = serviceRows(found, services.data);
  return (
    <>
      <div class="head">
        <h1>Fleet</h1>
        <p class="dim">
          {formatCount(found.nodes.length)} nodes · {formatCount(alive)} services ·{" "}
          {formatCount(running)} containers running
        </p>
      </div>
      {inventory.error && <Failed error={inventory.error} compact />}
      <h2 class="unseen">Nodes</h2>
      <div class="nodes">
        {found.nodes.map((node) => (
          <NodeCard key={`${node.cluster}/${node.node}`} node={node} now_ms={now_ms.value}
            loads={nodeLoads(node, nodes.data)} hasClusters={hasClusters(found)} />
        ))}
      </div>
      {services.error && <Failed error={services.error} compact />}
      <Services rows={rows} loading={services.data === null && services.loading}
        query={choice("q")} />
    </>
  );
}

/** Whether the name of the cluster tells anything. */
function hasClusters(found: Inventory): boolean {
  return new Set(found.nodes.map((node) => node.cluster)).size > 1;
}
