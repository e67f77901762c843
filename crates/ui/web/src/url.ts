/**
 * The address of the page: it holds everything that was chosen.
 *
 * Keeps true: what one sees is a function of the address and the server's answers; choosing
 * something is going to another address.
 * Not here: the theme, which is a matter of the reader's device (`theme`).
 */
import { computed, signal } from "@preact/signals";
import type { Zone } from "./format";
import { parseWhen, steps, type Range } from "./range";

/** Pages by the last part of the path; the server knows the same list. */
export const PAGES = ["", "service", "node", "container", "explore", "status"] as const;
export type Page = (typeof PAGES)[number];

type Choice = Record<string, string | null | undefined>;

const address = signal(location.pathname + location.search);
addEventListener("popstate", () => {
  address.value = location.pathname + location.search;
});

/** The page. */
export const page = computed<Page>(() => {
  const last = address.value.split("?")[0]?.split("/").pop() ?? "";
  return (PAGES as readonly string[]).includes(last) ? (last as Page) : "";
});

/** What was chosen. */
export const chosen = computed(() => new URLSearchParams(address.value.split("?")[1] ?? ""));

/** One choice, or its default. */
export function choice(name: string, otherwise = ""): string {
  return chosen.value.get(name) ?? otherwise;
}

/** Choices that follow the reader from page to page. */
const KEPT = ["from", "to", "tz", "pause"];

function address_of(to: Page, query: URLSearchParams): string {
  const text = query.toString();
  return `${to === "" ? "./" : to}${text ? `?${text}` : ""}`;
}

/** The address of a page, keeping the range of time. */
export function link(to: Page, choices: Choice = {}): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(choices)) if (value) query.set(name, value);
  for (const name of KEPT) {
    const value = chosen.value.get(name);
    if (value !== null && !query.has(name)) query.set(name, value);
  }
  return address_of(to, query);
}

/** Goes to an address of this page without loading it anew. */
export function go(to: string, replace = false): void {
  history[replace ? "replaceState" : "pushState"](null, "", to);
  address.value = location.pathname + location.search;
}

/** Changes choices of the page one is on; null takes one away. */
export function choose(choices: Choice, replace = false): void {
  const query = new URLSearchParams(chosen.value);
  for (const [name, value] of Object.entries(choices)) {
    if (value === null || value === undefined || value === "") query.delete(name);
    else query.set(name, value);
  }
  go(address_of(page.value, query), replace);
}

/** Lets links within the page work without loading it anew. */
export function follow(event: MouseEvent): void {
  if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  const anchor = (event.target as Element | null)?.closest?.("a[data-in]");
  const href = anchor?.getAttribute("href");
  if (href === null || href === undefined) return;
  event.preventDefault();
  go(href);
  scrollTo(0, 0);
}

/** Whether times are shown in UTC or in the reader's zone. */
export const zone = computed<Zone>(() => (chosen.value.get("tz") === "utc" ? "utc" : "local"));

/** Milliseconds the server's clock is ahead of this machine's, when that is more than seconds. */
export const skew_ms = signal(0);

/** Now, by the server's clock; moves when the page is refreshed. */
export const now_ms = signal(Date.now());

/** Moves now on, which asks everything that ends now again. */
export function refresh(): void {
  now_ms.value = Date.now() + skew_ms.value;
}

/** The start of the range as chosen. */
export const from = computed(() => chosen.value.get("from") ?? "-1h");
/** The end of the range as chosen. */
export const to = computed(() => chosen.value.get("to") ?? "now");
/** Whether the range ends now and moves on with it. */
export const isLive = computed(() => to.value === "now" && chosen.value.get("pause") !== "1");

/** The range, Unix milliseconds; one that makes no sense is the last hour. */
export const span = computed<[number, number]>(() => {
  const end = parseWhen(to.value, now_ms.value) ?? now_ms.value;
  const start = parseWhen(from.value, now_ms.value);
  return start === null || start >= end ? [end - 3_600_000, end] : [start, end];
});

/** The range in about `points` steps. */
export const range = (points: number): Range => steps(span.value[0], span.value[1], points);

/** Sets a range of fixed ends, Unix seconds. */
export function chooseSpan(from_s: number, to_s: number): void {
  choose({ from: String(Math.floor(from_s)), to: String(Math.ceil(to_s)) });
}

// How often a range that ends now is asked again, milliseconds.
const REFRESH_MS = 15_000;
setInterval(() => {
  if (isLive.value && document.visibilityState === "visible") refresh();
}, REFRESH_MS);
