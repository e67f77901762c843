/**
 * The frame of every page: navigation, range of time, zone, theme.
 */
import { useEffect } from "preact/hooks";
import { formatTime } from "./format";
import { Disc } from "./marks";
import { Explore } from "./pages/explore";
import { Fleet } from "./pages/fleet";
import { StatusPage } from "./pages/status";
import { ContainerPage, NodePage, ServicePage } from "./pages/subject";
import { nextTheme, theme } from "./theme";
import {
  choice, choose, chooseSpan, follow, from, isLive, link, page, refresh, span, to, zone, type Page,
} from "./url";

const TABS: [Page, string][] = [["", "Fleet"], ["explore", "Explore"], ["status", "Status"]];
const RANGES: [string, string][] = [
  ["-15m", "15 min"], ["-1h", "1 h"], ["-6h", "6 h"], ["-1d", "1 d"], ["-7d", "7 d"], ["-30d", "30 d"],
];

function title(): string {
  const names: Record<Page, string> = {
    "": "Fleet", service: choice("service"), node: choice("node"),
    container: choice("name", "Container"), explore: "Explore", status: "Status",
  };
  return `${names[page.value]} · Plimsoll`;
}

export function App() {
  const name = title();
  useEffect(() => {
    document.title = name;
  }, [name]);
  return (
    <div onClick={follow}>
      <a class="skip" href="#content">To the content</a>
      <header class="top">
        <a data-in class="brand" href={link("")}><Disc size={26} /> Plimsoll</a>
        <nav aria-label="Pages">
          {TABS.map(([to_, text]) => (
            <a key={to_} data-in href={link(to_)}
              aria-current={page.value === to_ ? "page" : undefined}>{text}</a>
          ))}
        </nav>
        <TimeBar />
      </header>
      <main id="content" tabIndex={-1}><Content /></main>
    </div>
  );
}

function Content() {
  switch (page.value) {
    case "service": return <ServicePage />;
    case "node": return <NodePage />;
    case "container": return <ContainerPage />;
    case "explore": return <Explore />;
    case "status": return <StatusPage />;
    default: return <Fleet />;
  }
}

function TimeBar() {
  const known = to.value === "now" && RANGES.some(([value]) => value === from.value);
  const [start, end] = span.value;
  const length = end - start;
  const move = (by: number) => chooseSpan((start + by) / 1000, (end + by) / 1000);
  const text = `${formatTime(start, zone.value, false)} – ${formatTime(end, zone.value, false)}`;
  return (
    <div class="time" role="group" aria-label="Range of time">
      <button type="button" title="Earlier" aria-label="Earlier" onClick={() => move(-length / 2)}>‹</button>
      <select aria-label="Range" value={known ? from.value : "own"} title={text}
        onChange={(event) => {
          const { value } = event.currentTarget;
          if (value !== "own") choose({ from: value, to: null, pause: null });
        }}>
        {RANGES.map(([value, name]) => <option key={value} value={value}>Last {name}</option>)}
        {!known && <option value="own">{text}</option>}
      </select>
      <button type="button" title="Later" aria-label="Later" disabled={to.value === "now"}
        onClick={() => move(length / 2)}>›</button>
      <button type="button" title="Zoom out" aria-label="Zoom out"
        onClick={() => chooseSpan((start - length / 2) / 1000, (end + length / 2) / 1000)}>−</button>
      {to.value === "now" ? (
        <button type="button" class={isLive.value ? "live on" : "live"} aria-pressed={isLive.value}
          title={isLive.value ? "Moves on every 15 seconds" : "Stands still"}
          onClick={() => choose({ pause: isLive.value ? "1" : null })}>
          <i /> {isLive.value ? "Live" : "Paused"}
        </button>
      ) : (
        <button type="button" onClick={() => choose({ from: "-1h", to: null })}>To now</button>
      )}
      <button type="button" title="Refresh" aria-label="Refresh" onClick={refresh}>↻</button>
      <button type="button" title={zone.value === "utc" ? "Times are in UTC" : "Times are in your zone"}
        onClick={() => choose({ tz: zone.value === "utc" ? null : "utc" })}>
        {zone.value === "utc" ? "UTC" : "Local"}
      </button>
      <button type="button" aria-label={`Theme: ${theme.value}`} title={`Theme: ${theme.value}`}
        onClick={nextTheme}>
        {theme.value === "auto" ? "◐" : theme.value === "dark" ? "●" : "○"}
      </button>
    </div>
  );
}
