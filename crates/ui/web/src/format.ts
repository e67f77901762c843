/**
 * Turns numbers and times into text for people.
 *
 * Keeps true: sizes that live in memory or on disk are IEC (KiB, MiB), rates of bytes are SI (kB/s,
 * MB/s) as network and disk makers count; a value that is absent is "–", never 0.
 * Not here: which metric has which unit (the server says so).
 */

export type Zone = "local" | "utc";

const SI = ["", "k", "M", "G", "T", "P", "E"];
const IEC = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];

/** Three significant digits without trailing zeros: 0.0123, 1.23, 12.3, 123. */
function short(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3;
  const text = value.toFixed(digits);
  return text.includes(".") ? text.replace(/\.?0+$/, "") : text;
}

function scaled(value: number, base: number, prefixes: string[]): [string, string] {
  let index = 0;
  let rest = value;
  // 999.5 would be written "1000".
  while (Math.abs(rest) >= base - 0.5 && index < prefixes.length - 1) {
    rest /= base;
    index += 1;
  }
  return [short(rest), prefixes[index] ?? ""];
}

/** A value in a unit of the server's, as text with its unit. */
export function formatValue(value: number | null | undefined, unit: string): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  if (unit === "bytes") {
    const [text, prefix] = scaled(value, 1024, IEC);
    return `${text} ${prefix}B`;
  }
  if (unit === "bytes_per_second") {
    const [text, prefix] = scaled(value, 1000, SI);
    return `${text} ${prefix}B/s`;
  }
  if (unit === "cores") return formatCores(value);
  if (unit === "ratio") return `${short(value * 100)} %`;
  if (unit === "seconds") return formatSeconds(value);
  if (unit === "seconds_per_second") return `${short(value * 100)} %`;
  const [text, prefix] = scaled(value, 1000, SI);
  const name = unit.endsWith("_per_second") ? "/s" : "";
  return `${text}${prefix ? ` ${prefix}` : ""}${name && ` ${name}`}`;
}

function formatCores(value: number): string {
  const size = Math.abs(value);
  if (size === 0) return "0 cores";
  if (size < 0.0005) return "< 0.001 cores";
  if (size < 0.1) return `${value.toFixed(3).replace(/0+$/, "")} cores`;
  return `${short(value)} cores`;
}

/** A whole number with thousands apart. */
export function formatCount(value: number | null | undefined): string {
  if (value === null || value === undefined) return "–";
  return Math.round(value).toLocaleString("en").replaceAll(",", "\u202f");
}

/** A share, 0 to 1, as percent. */
export function formatShare(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  const percent = value * 100;
  return `${percent < 10 && percent > 0 ? percent.toFixed(1) : percent.toFixed(0)} %`;
}

/** A length of time in at most two units: "3 d 4 h", "12 min", "4.2 s", "15 ms". */
export function formatSeconds(seconds: number): string {
  const size = Math.abs(seconds);
  if (size === 0) return "0 s";
  if (size < 1) return size < 0.001 ? `${short(seconds * 1e6)} µs` : `${short(seconds * 1e3)} ms`;
  if (size < 60) return `${short(seconds)} s`;
  const units: [string, number][] = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, length]) => size >= length);
  const [name, length] = units[first] ?? ["s", 1];
  const whole = Math.floor(size / length);
  const next = units[first + 1];
  const rest = next ? Math.floor((size - whole * length) / next[1]) : 0;
  const sign = seconds < 0 ? "−" : "";
  return next && rest > 0 ? `${sign}${whole} ${name} ${rest} ${next[0]}` : `${sign}${whole} ${name}`;
}

interface Parts {
  year: number;
  month: number;
  day: number;
  hour: number;
  minute: number;
  second: number;
}

function parts(ms: number, zone: Zone): Parts {
  const date = new Date(ms);
  if (zone === "utc") {
    return {
      year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate(),
      hour: date.getUTCHours(), minute: date.getUTCMinutes(), second: date.getUTCSeconds(),
    };
  }
  return {
    year: date.getFullYear(), month: date.getMonth() + 1, day: date.getDate(),
    hour: date.getHours(), minute: date.getMinutes(), second: date.getSeconds(),
  };
}

const two = (value: number) => String(value).padStart(2, "0");

/** "2026-08-03 14:05:09", with seconds only where they say something. */
export function formatTime(ms: number, zone: Zone, withSeconds = true): string {
  const at = parts(ms, zone);
  const clock = `${two(at.hour)}:${two(at.minute)}${withSeconds ? `:${two(at.second)}` : ""}`;
  return `${at.year}-${two(at.month)}-${two(at.day)} ${clock}${zone === "utc" ? "Z" : ""}`;
}

/** Labels of a time axis: the day stands where it begins. `increment_s`: between two labels. */
export function formatAxis(times_s: number[], increment_s: number, zone: Zone): string[] {
  let day = -1;
  return times_s.map((time) => {
    const at = parts(time * 1000, zone);
    const isNewDay = day !== -1 && day !== at.day;
    day = at.day;
    if (increment_s >= 86_400 || isNewDay) return `${two(at.month)}-${two(at.day)}`;
    const seconds = increment_s < 60 ? `:${two(at.second)}` : "";
    return `${two(at.hour)}:${two(at.minute)}${seconds}`;
  });
}

/** "just now", "4 min ago". */
export function formatAge(ms: number, now_ms: number): string {
  const age_s = (now_ms - ms) / 1000;
  if (age_s < 2) return "just now";
  const length = age_s < 60 ? 1 : age_s < 3_600 ? 60 : age_s < 86_400 ? 3_600 : 86_400;
  return `${formatSeconds(Math.floor(age_s / length) * length)} ago`;
}

/** The first twelve digits of a container's id. */
export const shortId = (id: string): string => id.slice(0, 12);

/** An image without its registry: "shop/api:1.3.7"; a digest is cut. */
export function shortImage(image: string): string {
  const [name = "", digest] = image.split("@");
  const slash = name.indexOf("/");
  const host = slash > 0 ? name.slice(0, slash) : "";
  const rest = host.includes(".") || host.includes(":") ? name.slice(slash + 1) : name;
  const hash = digest?.startsWith("sha256:") ? `@${digest.slice(7, 19)}` : "";
  return rest.includes(":") || !hash ? rest : rest + hash;
}
