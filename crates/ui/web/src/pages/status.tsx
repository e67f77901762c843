/**
 * How the server, its store and those who send to it are doing.
 */
import type { ComponentChildren } from "preact";
import { inventoryPath, useAnswers, type Inventory, type Node } from "../api";
import { formatAge, formatCount, formatSeconds, formatTime, formatValue } from "../format";
import { Failed, Loading } from "../states";
import { link, now_ms, range, zone } from "../url";
import { isSilent } from "./nodes";

interface Table {
  table: string; resolution: string; segments: number; rows: number; samples: number;
  bytes: number; start_ms: number; end_ms: number;
}
interface Store {
  tables: Table[]; head_rows: Record<string, number>; head_bytes: number; wal_bytes: number;
  wal_files: number; segments: number; generation: number; quarantined: string[];
  lost: unknown[]; read_only: unknown; marks: Record<string, { epoch: number; sequence: number }>;
  senders: number; disk_free_bytes: number | null; rows: number; samples: number;
  rows_refused: number; wal_failures: number; flush_failures: number; flushes: number;
  commits: number; corrupt_bytes: number; unusable_frames: number; orphans_kept: number;
}
interface Status {
  version: string; started_at_ms: number; uptime_s: number; store: Store;
  ingest: Record<string, number>;
  collector: null | {
    source: string; node: string; engine: string; containers: number; samples: number;
    rows_dropped: number; errors: number; error: string | null;
  };
  limits: Record<string, number>;
}

/** What a person should act on, worst first. */
function troubles({ store, collector, ingest }: Status): string[] {
  const found: string[] = [];
  const count = (value: number, text: string) => {
    if (value > 0) found.push(`${formatCount(value)} ${text}`);
  };
  if (store.read_only) found.push(`The store takes nothing in: ${word(store.read_only)}`);
  count(store.wal_failures, "writes of the write-ahead log failed");
  count(store.flush_failures, "flushes failed; their rows are kept in memory and the log");
  count(store.quarantined.length, "damaged files were set aside");
  count(store.lost.length, "stretches of rows are lost with damaged segments");
  count(store.corrupt_bytes, "damaged bytes were found in the write-ahead log");
  count(store.unusable_frames, "frames in the log cannot be read by this version");
  count(ingest["frames_rejected"] ?? 0, "frames were refused");
  count(store.rows_refused, "rows were left out because of their time");
  if (collector?.error) found.push(`The collector: ${collector.error}`);
  count(collector?.rows_dropped ?? 0, "rows were thrown away by the collector");
  return found;
}

/** A value of the server's that has no fixed shape, as words. */
function word(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

export function StatusPage() {
  const { data, error } = useAnswers<Status>(["api/v1/status"], "status", now_ms.value);
  const inventory = useAnswers<Inventory>([inventoryPath(range(60))], "status nodes");
  const status = data?.[0];
  if (!status) return error ? <Failed error={error} /> : <Loading what="the status" />;
  const { store } = status;
  const bad = troubles(status);
  return (
    <>
      <div class="head">
        <h1>Status</h1>
        <p class="dim">
          Plimsoll {status.version} · up {formatSeconds(status.uptime_s)} · since{" "}
          {formatTime(status.started_at_ms, zone.value, false)}
        </p>
      </div>
      {error && <Failed error={error} compact />}
      {bad.length === 0 ? <p class="notice good">Nothing needs attention.</p> : (
        <ul class="notice bad" aria-label="Needs attention">
          {bad.map((text) => <li key={text}>{text}</li>)}
        </ul>
      )}
      <div class="tiles">
        <Tile name="Samples taken in" value={formatCount(store.samples)}
          note={`${formatCount(store.rows)} rows since the start`} />
        <Tile name="In memory, not yet in segments" value={formatValue(store.head_bytes, "bytes")}
          note={`${formatCount(total(store.head_rows))} rows`} />
        <Tile name="Write-ahead log" value={formatValue(store.wal_bytes, "bytes")}
          note={`${store.wal_files} ${store.wal_files === 1 ? "file" : "files"} · ${formatCount(store.commits)} syncs`} />
        <Tile name="Segments" value={formatCount(store.segments)}
          note={`${formatValue(store.tables.reduce((sum, one) => sum + one.bytes, 0), "bytes")} on disk`} />
        <Tile name="Free on the disk" value={formatValue(store.disk_free_bytes, "bytes")} />
      </div>
      <div class="columns">
        <Storage store={store} />
        <Nodes nodes={inventory.data?.[0]?.nodes ?? []} />
        <Senders store={store} />
        {status.collector && <Collector of={status.collector} />}
        <Files store={store} />
        <Limits limits={status.limits} />
      </div>
      <p class="dim">
        <a href="plain">Plain page</a> · <a href="metrics">Metrics</a> ·{" "}
        <a href="openapi.json">API description</a>
      </p>
    </>
  );
}

const total = (of: Record<string, number>) =>
  Object.values(of).reduce((sum, value) => sum + value, 0);

function Tile({ name, value, note }: { name: string; value: string; note?: string }) {
  return (
    <div class="card tile"><span>{name}</span><strong>{value}</strong><span class="dim">{note}</span></div>
  );
}

function Box({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section class="card box"><h2>{title}</h2><div class="scroll">{children}</div></section>
  );
}

function Storage({ store }: { store: Store }) {
  const waiting = Object.entries(store.head_rows);
  const day = (ms: number) => formatTime(ms, zone.value, false);
  return (
    <Box title="Storage by table">
      <table class="grid">
        <thead>
          <tr>
            <th scope="col">Table</th><th scope="col">Kept as</th>
            <th scope="col" class="n">Rows</th><th scope="col" class="n">Size</th>
            <th scope="col" class="n">Per sample</th><th scope="col">Holds</th>
          </tr>
        </thead>
        <tbody>
          {store.tables.map((one) => (
            <tr key={`${one.table}${one.resolution}`}>
              <th scope="row">{one.table}</th>
              <td>{one.resolution} · {formatCount(one.segments)} files</td>
              <td class="n">{formatCount(one.rows)}</td>
              <td class="n">{formatValue(one.bytes, "bytes")}</td>
              <td class="n">{one.samples > 0 ? `${(one.bytes / one.samples).toFixed(2)} B` : "–"}</td>
              <td class="nowrap">{day(one.start_ms)} – {day(one.end_ms)}</td>
            </tr>
          ))}
          {waiting.map(([table, rows]) => (
            <tr key={`head ${table}`}>
              <th scope="row">{table}</th>
              <td><span class="badge">in memory</span></td>
              <td class="n">{formatCount(rows)}</td>
              <td class="n dim">–</td><td class="n dim">–</td><td class="dim">not yet in a segment</td>
            </tr>
          ))}
        </tbody>
      </table>
    </Box>
  );
}

function Nodes({ nodes }: { nodes: Node[] }) {
  return (
    <Box title="Nodes">
      {nodes.length === 0 ? <p class="dim">No node was seen in this range.</p> : (
        <table class="grid">
          <thead>
            <tr>
              <th scope="col">Node</th><th scope="col">Engine</th>
              <th scope="col" class="n">Running</th><th scope="col">Newest row</th>
            </tr>
          </thead>
          <tbody>
            {nodes.map((node) => (
              <tr key={`${node.cluster}/${node.node}`}>
                <th scope="row">
                  <a data-in href={link("node", { cluster: node.cluster, node: node.node })}>
                    {node.node}
                  </a>
                </th>
                <td>{node.engine_version ?? "–"}</td>
                <td class="n">{node.running}</td>
                <td>
                  <span class={`badge ${isSilent(node.last_seen_ms, now_ms.value) ? "warn" : ""}`}>
                    {formatAge(node.last_seen_ms, now_ms.value)}
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Box>
  );
}

function Senders({ store }: { store: Store }) {
  const senders = Object.entries(store.marks);
  return (
    <Box title={`Senders (${formatCount(store.senders)})`}>
      {senders.length === 0 ? <p class="dim">Nobody has sent anything yet.</p> : (
        <table class="grid">
          <thead>
            <tr>
              <th scope="col">Sender</th><th scope="col">Started</th>
              <th scope="col" class="n">Newest frame</th>
            </tr>
          </thead>
          <tbody>
            {senders.map(([id, { epoch, sequence }]) => (
              <tr key={id}>
                <th scope="row"><code>{id.slice(0, 12)}</code></th>
                <td class="nowrap">{formatTime(epoch, zone.value)}</td>
                <td class="n">{formatCount(sequence)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </Box>
  );
}

function Collector({ of }: { of: NonNullable<Status["collector"]> }) {
  const facts: [string, string][] = [
    ["Reads", of.source], ["Node", of.node || "–"], ["Engine", of.engine || "–"],
    ["Containers in the last round", formatCount(of.containers)],
    ["Samples", formatCount(of.samples)], ["Errors", formatCount(of.errors)],
    ["Rows thrown away", formatCount(of.rows_dropped)],
  ];
  return <Box title="Collector of this process"><Facts facts={facts} /></Box>;
}

function Facts({ facts }: { facts: [string, string][] }) {
  return (
    <table class="grid">
      <tbody>
        {facts.map(([name, value]) => (
          <tr key={name}><th scope="row">{name}</th><td class="n break">{value}</td></tr>
        ))}
      </tbody>
    </table>
  );
}

function Files({ store }: { store: Store }) {
  return (
    <Box title="Files set aside">
      {store.quarantined.length === 0 ? <p class="dim">None. Every file reads as it was written.</p> : (
        <ul>{store.quarantined.map((name) => <li key={name}><code>{name}</code></li>)}</ul>
      )}
      {store.lost.length > 0 && <ul>{store.lost.map((one) => <li key={word(one)}>{word(one)}</li>)}</ul>}
    </Box>
  );
}

/** Limits in words: the server names them with their unit at the end. */
function Limits({ limits }: { limits: Record<string, number> }) {
  const facts = Object.entries(limits).map(([name, value]): [string, string] => {
    const text = name.replace(/_(ms|max)$/, "").replace(/_bytes$/, "").replaceAll("_", " ");
    if (name.endsWith("_ms")) return [text, formatSeconds(value / 1000)];
    return [text, name.includes("bytes") ? formatValue(value, "bytes") : formatCount(value)];
  });
  return <Box title="Limits"><Facts facts={facts} /></Box>;
}
