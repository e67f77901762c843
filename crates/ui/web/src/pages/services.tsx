/**
 * Services as a table that is sorted and filtered, or as cards.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import type { ServiceRow } from "../fleet";
import { formatAge, formatValue, shortImage } from "../format";
import { LimitBar, Spark } from "../marks";
import { Empty } from "../states";
import { newest } from "../stats";
import { choice, choose, link, now_ms } from "../url";

interface ColumnOf {
  id: string;
  name: string;
  order: (row: ServiceRow) => number | string;
  isNumber: boolean;
}

const COLUMNS: ColumnOf[] = [
  { id: "service", name: "Service", order: (row) => `${row.service.stack}\u0000${row.service.service}`, isNumber: false },
  { id: "running", name: "Running", order: (row) => row.service.running, isNumber: true },
  { id: "cpu", name: "CPU", order: (row) => newest(row.cpu) ?? -1, isNumber: true },
  { id: "memory", name: "Memory", order: (row) => newest(row.memory) ?? -1, isNumber: true },
  { id: "io", name: "Block IO", order: (row) => newest(row.io) ?? -1, isNumber: true },
  { id: "network", name: "Network", order: (row) => newest(row.network) ?? -1, isNumber: true },
  { id: "image", name: "Image", order: (row) => row.service.images[0] ?? "", isNumber: false },
];

function matches(row: ServiceRow, query: string): boolean {
  const { stack, service, images, nodes, cluster } = row.service;
  const text = [stack, service, cluster, ...images, ...nodes].join(" ").toLowerCase();
  return query.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function sorted(rows: ServiceRow[], by: string, isDown: boolean): ServiceRow[] {
  const column = COLUMNS.find((one) => one.id === by) ?? COLUMNS[0];
  if (!column) return rows;
  const way = isDown ? -1 : 1;
  return [...rows].sort((a, b) => {
    const left = column.order(a);
    const right = column.order(b);
    return typeof left === "string" || typeof right === "string"
      ? way * String(left).localeCompare(String(right)) : way * (left - right);
  });
}

/** Whether the window is too narrow for the table. */
function useNarrow(): boolean {
  const media = "(max-width: 760px)";
  const [narrow, set] = useState(matchMedia(media).matches);
  useEffect(() => {
    const watched = matchMedia(media);
    const changed = () => set(watched.matches);
    watched.addEventListener("change", changed);
    return () => watched.removeEventListener("change", changed);
  }, []);
  return narrow;
}

export function Services({ rows, loading, query }: {
  rows: ServiceRow[]; loading: boolean; query: string;
}) {
  const narrow = useNarrow();
  const view = choice("view", narrow ? "cards" : "table");
  const by = choice("sort", "cpu");
  const isDown = choice("dir", COLUMNS.find((one) => one.id === by)?.isNumber ? "desc" : "asc") === "desc";
  const stopped = choice("stopped") === "1";
  const shown = sorted(
    rows.filter((row) => matches(row, query) && (stopped || row.service.running > 0)), by, isDown,
  );
  const gone = rows.filter((row) => row.service.running === 0).length;
  return (
    <section aria-label="Services" aria-busy={loading}>
      <div class="bar">
        <h2>Services <span class="dim">{shown.length}</span></h2>
        <Filter query={query} />
        {gone > 0 && (
          <label class="check">
            <input type="checkbox" checked={stopped}
              onChange={() => choose({ stopped: stopped ? null : "1" })} />
            {gone} stopped
          </label>
        )}
        <label class="picker">
          <span class="unseen">Sort by</span>
          <select value={`${by} ${isDown ? "desc" : "asc"}`} onChange={(event) => {
            const [sort = "cpu", dir = "desc"] = event.currentTarget.value.split(" ");
            choose({ sort, dir });
          }}>
            {COLUMNS.flatMap(({ id, name }) => [
              <option key={`${id}d`} value={`${id} desc`}>{name} ↓</option>,
              <option key={`${id}a`} value={`${id} asc`}>{name} ↑</option>,
            ])}
          </select>
        </label>
        <div class="segments" role="group" aria-label="Show as">
          {["table", "cards"].map((one) => (
            <button key={one} type="button" aria-pressed={view === one}
              onClick={() => choose({ view: one })}>{one === "table" ? "Table" : "Cards"}</button>
          ))}
        </div>
      </div>
      {shown.length === 0 ? (
        <Empty title={query ? `No service matches “${query}”` : "No service is running"}>
          {query && <button type="button" onClick={() => choose({ q: null })}>Show all</button>}
        </Empty>
      ) : view === "cards" ? <Cards rows={shown} /> : <Table rows={shown} by={by} isDown={isDown} />}
    </section>
  );
}

function Filter({ query }: { query: string }) {
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const pressed = (event: KeyboardEvent) => {
      const inField = (event.target as Element | null)?.matches?.("input,textarea,select");
      if (event.key !== "/" || inField || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      box.current?.focus();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  return (
    <input ref={box} class="filter" type="search" value={query} aria-label="Filter services"
      placeholder="Filter by name, stack, image, node   /" spellcheck={false} maxLength={200}
      onInput={(event) => choose({ q: event.currentTarget.value }, true)} />
  );
}

function Table({ rows, by, isDown }: { rows: ServiceRow[]; by: string; isDown: boolean }) {
  return (
    <div class="scroll">
      <table class="grid">
        <thead>
          <tr>
            {COLUMNS.map(({ id, name, isNumber }) => (
              <th key={id} scope="col" class={isNumber ? "n" : ""}
                aria-sort={by === id ? (isDown ? "descending" : "ascending") : "none"}>
                <button type="button" class="sort" onClick={() => choose({
                  sort: id, dir: by === id ? (isDown ? "asc" : "desc") : isNumber ? "desc" : "asc",
                })}>
                  {name}<span aria-hidden="true">{by === id ? (isDown ? " ↓" : " ↑") : ""}</span>
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => <Row key={address(row)} row={row} />)}
        </tbody>
      </table>
    </div>
  );
}

const address = ({ service: { cluster, stack, service } }: ServiceRow) =>
  link("service", { cluster, stack, service });

function Name({ row }: { row: ServiceRow }) {
  const { stack, service } = row.service;
  return (
    <a data-in href={address(row)}>
      {stack !== "" && <span class="stack">{stack} / </span>}
      {service}
    </a>
  );
}

function Images({ images }: { images: string[] }) {
  const last = images[images.length - 1];
  return (
    <span class="image" title={images.join("\n")}>
      {last === undefined ? "–" : shortImage(last)}
      {images.length > 1 && <span class="badge">{images.length} images</span>}
    </span>
  );
}

function Row({ row }: { row: ServiceRow }) {
  const { service } = row;
  const memory = newest(row.memory);
  return (
    <tr class={service.running === 0 ? "gone" : ""}>
      <th scope="row"><Name row={row} /></th>
      <td class="n">
        {service.running > 0 ? service.running
          : <span class="badge">ended {formatAge(service.last_seen_ms, now_ms.value)}</span>}
      </td>
      <td class="n"><Cell values={row.cpu} unit="cores" name="CPU" /></td>
      <td class="n">
        <Cell values={row.memory} unit="bytes" name="Memory" />
        <LimitBar used={memory} limit={row.memory_limit}
          label={`of ${formatValue(row.memory_limit, "bytes")} allowed`} />
      </td>
      <td class="n"><Cell values={row.io} unit="bytes_per_second" name="Block IO" /></td>
      <td class="n"><Cell values={row.network} unit="bytes_per_second" name="Network" /></td>
      <td><Images images={service.images} /></td>
    </tr>
  );
}

function Cell({ values, unit, name }: { values: (number | null)[]; unit: string; name: string }) {
  return (
    <span class="cell">
      <Spark values={values} label={`${name} over the range`} />
      <span>{formatValue(newest(values), unit)}</span>
    </span>
  );
}

function Cards({ rows }: { rows: ServiceRow[] }) {
  return (
    <div class="cards">
      {rows.map((row) => (
        <article key={address(row)} class="card service">
          <header>
            <h3><Name row={row} /></h3>
            <span class="dim">
              {row.service.running > 0 ? `${row.service.running} running`
                : `ended ${formatAge(row.service.last_seen_ms, now_ms.value)}`}
            </span>
          </header>
          <dl>
            <div><dt>CPU</dt><dd><Cell values={row.cpu} unit="cores" name="CPU" /></dd></div>
            <div><dt>Memory</dt><dd><Cell values={row.memory} unit="bytes" name="Memory" /></dd></div>
            <div><dt>Block IO</dt><dd><Cell values={row.io} unit="bytes_per_second" name="Block IO" /></dd></div>
            <div><dt>Network</dt><dd><Cell values={row.network} unit="bytes_per_second" name="Network" /></dd></div>
          </dl>
          <LimitBar used={newest(row.memory)} limit={row.memory_limit}
            label={`memory of ${formatValue(row.memory_limit, "bytes")} allowed`} />
          <Images images={row.service.images} />
        </article>
      ))}
    </div>
  );
}
