/**
 * The card of a node with its load lines.
 */
import type { Node } from "../api";
import { formatAge } from "../format";
import { LoadLine, type Load } from "../marks";
import { link } from "../url";

/** A node that has said nothing for this long is called silent, milliseconds. */
const SILENT_MS = 90_000;

/** Whether the newest row of something is too old to trust, given the end of the range. */
export const isSilent = (last_seen_ms: number, end_ms: number) => end_ms - last_seen_ms > SILENT_MS;

export function NodeCard({ node, loads, now_ms, hasClusters }: {
  node: Node; loads: Load[]; now_ms: number; hasClusters: boolean;
}) {
  const silent = isSilent(node.last_seen_ms, now_ms);
  return (
    <article class={`card node${silent ? " silent" : ""}`}>
      <header>
        <h3>
          <a data-in href={link("node", { cluster: node.cluster, node: node.node })}>
            {node.node}
          </a>
        </h3>
        <span class="dim">
          {hasClusters && `${node.cluster} · `}{node.running} running
          {node.engine_version && ` · Engine ${node.engine_version}`}
        </span>
        {silent && <span class="badge warn">last seen {formatAge(node.last_seen_ms, now_ms)}</span>}
      </header>
      <div class="loads">
        {loads.map((load) => <LoadLine key={load.name} load={load} />)}
      </div>
    </article>
  );
}
