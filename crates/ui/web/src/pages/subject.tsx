/**
 * One service, node or container: its charts, and the containers that belong to it.
 */
import type { ComponentChildren } from "preact";
import { useMemo } from "preact/hooks";
import { inventoryPath, useAnswers, type Container, type Inventory } from "../api";
import type { Marker } from "../chart";
import { formatAge, formatTime, shortId, shortImage } from "../format";
import { PanelChart } from "../panel";
import { PANELS, type Panel, type Split } from "../panels";
import { Empty, Failed, Loading } from "../states";
import { choice, choose, link, now_ms, range, span, zone } from "../url";
import { Containers } from "./containers";

/** Deploys marked on a chart at most. */
const MARKERS_MAX = 12;

/** When images began to run within the range: a deploy, seen from outside. */
function deploys(containers: Container[], from_ms: number): Marker[] {
  const first = new Map<string, number>();
  for (const { image, started_at_ms } of containers) {
    if (started_at_ms !== null) first.set(image, Math.min(first.get(image) ?? Infinity, started_at_ms));
  }
  return [...first]
    .filter(([, at]) => at > from_ms)
    .map(([image, at]) => ({ time_s: at / 1000, label: shortImage(image) }))
    .slice(0, MARKERS_MAX);
}

function replica(labels: Record<string, string>): string {
  const slot = labels["slot"] ?? "";
  return `${slot ? `${slot} · ` : ""}${shortId(labels["container_id"] ?? "")}`;
}

const SPLITS: Record<string, Record<string, Split>> = {
  service: {
    replica: { by: "container_id,slot", name: replica },
    node: { by: "node", name: (labels) => labels["node"] ?? "" },
  },
  node: {
    service: {
      by: "stack,service",
      name: (labels) => [labels["stack"], labels["service"]].filter((part) => part).join(" / "),
    },
    container: { by: "container", name: (labels) => labels["container"] ?? "" },
  },
};

const SUMMED: Record<string, string> = { replica: "By replica", node: "By node", service: "By service", container: "By container" };

function Splits({ of }: { of: string }) {
  const names = Object.keys(SPLITS[of] ?? {});
  const split = choice("split");
  return (
    <div class="segments" role="group" aria-label="Lines">
      <button type="button" aria-pressed={split === ""} onClick={() => choose({ split: null })}>
        Summed
      </button>
      {names.map((name) => (
        <button key={name} type="button" aria-pressed={split === name}
          onClick={() => choose({ split: name })}>{SUMMED[name]}</button>
      ))}
    </div>
  );
}

function Charts({ panels, filter, of, about, markers }: {
  panels: Panel[]; filter: Record<string, string>; of: string; about: string; markers: Marker[];
}) {
  const split = SPLITS[of]?.[choice("split")] ?? null;
  return (
    <div class="charts">
      {panels.map((panel) => (
        <PanelChart key={panel.id} panel={panel} filter={filter} about={about} markers={markers}
          split={panel.id.startsWith("node-") ? null : split} />
      ))}
    </div>
  );
}

/** What all three pages share: the inventory of the filter, and a word while there is none. */
function Subject({ of, filter, title, facts, panels, children }: {
  of: string; filter: Record<string, string>; title: ComponentChildren; panels: Panel[];
  facts: (found: Inventory) => ComponentChildren;
  children?: (found: Inventory) => ComponentChildren;
}) {
  const about = `${of} ${JSON.stringify(filter)}`;
  const { data, error } = useAnswers<Inventory>([inventoryPath(range(60), filter)], about);
  const found = data?.[0];
  const from_ms = span.value[0];
  const starts = found && of !== "node"
    ? JSON.stringify(deploys(found.containers, from_ms)) : "[]";
  const markers = useMemo(() => JSON.parse(starts) as Marker[], [starts]);
  return (
    <>
      <div class="head">
        <nav class="crumbs" aria-label="Where this is"><a data-in href={link("")}>Fleet</a> / {of}</nav>
        <h1>{title}</h1>
        {found && <div class="facts">{facts(found)}</div>}
      </div>
      {error && !found && <Failed error={error} />}
      {!error && !found && <Loading what={`this ${of}`} />}
      {found && found.containers.length === 0 && found.nodes.length === 0 ? (
        <Empty title={`This ${of} was not seen in this range of time`}>
          <p>
            <button type="button" onClick={() => choose({ from: "-7d", to: null })}>
              Look at the last 7 days
            </button>
          </p>
        </Empty>
      ) : found && (
        <>
          <div class="bar"><h2>Use</h2>{SPLITS[of] && <Splits of={of} />}</div>
          <Charts panels={panels} filter={filter} of={of} about={about} markers={markers} />
          {children?.(found)}
        </>
      )}
    </>
  );
}

function Fact({ name, children, wide }: {
  name: string; children: ComponentChildren; wide?: boolean;
}) {
  return (
    <div class={wide ? "wide" : ""}><dt>{name}</dt><dd>{children}</dd></div>
  );
}

const List = ({ items }: { items: string[] }) => (
  <>{items.length === 0 ? "–" : items.map((item) => <span key={item} class="item">{item}</span>)}</>
);

export function ServicePage() {
  const filter = {
    cluster: choice("cluster"), stack: choice("stack"), service: choice("service"),
  };
  return (
    <Subject of="service" filter={filter} panels={PANELS.container}
      title={<>{filter.stack && <span class="stack">{filter.stack} / </span>}{filter.service}</>}
      facts={({ services: [service] }) => service && (
        <dl>
          <Fact name="Running">{service.running}</Fact>
          <Fact name="Containers in the range">{service.containers}</Fact>
          <Fact name="Nodes">
            {service.nodes.map((node) => (
              <a key={node} data-in class="item"
                href={link("node", { cluster: service.cluster, node })}>{node}</a>
            ))}
          </Fact>
          <Fact name="Images"><List items={service.images.map(shortImage)} /></Fact>
          <Fact name="Last seen">{formatAge(service.last_seen_ms, now_ms.value)}</Fact>
        </dl>
      )}>
      {(found) => <Containers found={found.containers} of="service" />}
    </Subject>
  );
}

/** Limits are left out: their sum would say nothing about containers that have none. */
const ofContainers = (panel: Panel): Panel => ({
  ...panel, title: `Containers: ${panel.title}`,
  lines: panel.lines.filter((one) => one.kind !== "limit"),
});

export function NodePage() {
  const filter = { cluster: choice("cluster"), node: choice("node") };
  return (
    <Subject of="node" filter={filter} title={filter.node}
      panels={[...PANELS.node, ...PANELS.container.map(ofContainers)]}
      facts={({ nodes: [node] }) => node && (
        <dl>
          <Fact name="Cores">{node.cpu_cores ?? "–"}</Fact>
          <Fact name="Memory">
            {node.memory_total_bytes === null ? "–" : `${(node.memory_total_bytes / 2 ** 30).toFixed(1)} GiB`}
          </Fact>
          <Fact name="Running">{node.running}</Fact>
          <Fact name="Engine">{node.engine_version ?? "–"}</Fact>
          <Fact name="Cluster">{node.cluster || "–"}</Fact>
          <Fact name="Last seen">{formatAge(node.last_seen_ms, now_ms.value)}</Fact>
        </dl>
      )}>
      {(found) => <Containers found={found.containers} of="node" />}
    </Subject>
  );
}

export function ContainerPage() {
  const id = choice("container_id");
  return (
    <Subject of="container" filter={{ container_id: id }} title={choice("name", shortId(id))}
      panels={PANELS.container}
      facts={({ containers: [container] }) => container && <ContainerFacts of={container} />}>
      {({ containers: [container] }) => container && (
        <section>
          <h2>Labels</h2>
          <div class="scroll">
            <table class="grid">
              <thead><tr><th scope="col">Label</th><th scope="col">Value</th></tr></thead>
              <tbody>
                {Object.entries(container.labels).map(([name, value]) => (
                  <tr key={name}><th scope="row">{name}</th><td class="break">{value}</td></tr>
                ))}
              </tbody>
            </table>
          </div>
        </section>
      )}
    </Subject>
  );
}

function ContainerFacts({ of }: { of: Container }) {
  const at = (ms: number) => formatTime(ms, zone.value);
  return (
    <dl>
      <Fact name="State">
        {of.state ?? (of.running ? "running" : "gone")}{of.health && ` · ${of.health}`}
      </Fact>
      <Fact name="Service">
        <a data-in href={link("service", {
          cluster: of.cluster, stack: of.stack, service: of.service,
        })}>{of.stack && `${of.stack} / `}{of.service}</a>{of.slot && ` · ${of.slot}`}
      </Fact>
      <Fact name="Node">
        <a data-in href={link("node", { cluster: of.cluster, node: of.node })}>{of.node}</a>
      </Fact>
      <Fact name="Started">{of.started_at_ms === null ? "–" : at(of.started_at_ms)}</Fact>
      <Fact name="Last seen">{at(of.last_seen_ms)}</Fact>
      <Fact name="Image" wide>{of.image}</Fact>
      <Fact name="Id" wide><code>{of.id}</code></Fact>
    </dl>
  );
}
