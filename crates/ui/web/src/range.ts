/**
 * Points and ranges of time as they stand in the URL, and steps.
 *
 * `from` and `to` are relative (`-1h`, `now`), Unix seconds or RFC 3339, as in the API.
 */

/** Seconds of the units a relative time may have. */
const UNITS: Record<string, number> = { s: 1, m: 60, h: 3_600, d: 86_400, w: 604_800 };

/** Steps that people can think in, seconds. */
const STEPS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400,
  172_800, 604_800, 2_592_000,
];

/** Unix milliseconds of a point of time; null if it is none. */
export function parseWhen(text: string, now_ms: number): number | null {
  if (text === "" || text === "now") return now_ms;
  const relative = /^-(\d{1,9})([smhdw])$/.exec(text);
  if (relative) return now_ms - Number(relative[1]) * (UNITS[relative[2] ?? ""] ?? 1) * 1000;
  if (/^\d{1,12}$/.test(text)) return Number(text) * 1000;
  const time = /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? null : time;
}

/** The shortest step with which a range has at most `points` values, seconds. */
export function niceStep(length_s: number, points: number): number {
  return STEPS.find((step) => length_s / step <= points) ?? Math.ceil(length_s / points);
}

/** A range cut to whole steps. */
export interface Range {
  from_s: number;
  to_s: number;
  step_s: number;
}

/** `from` to `to` with about `points` steps, both at whole steps, so that refreshing is steady. */
export function steps(from_ms: number, to_ms: number, points: number): Range {
  const length_s = Math.max(1, (to_ms - from_ms) / 1000);
  const step_s = Math.max(niceStep(length_s, points), length_s > 1_200 ? 10 : 5);
  const from_s = Math.floor(from_ms / 1000 / step_s) * step_s;
  const to_s = Math.floor(to_ms / 1000 / step_s) * step_s;
  return { from_s, to_s: Math.max(to_s, from_s + step_s), step_s };
}
