/**
 * Asks the server, once per address, and tells components how it went.
 *
 * Keeps true: at most `TOGETHER_MAX` questions are on their way; at most `KEPT_MAX` answers are
 * kept; while a page is refreshed its last answer stays on it.
 * Not here: what to do with the numbers (`panels`).
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { skew_ms, span } from "./url";
import type { Range } from "./range";

export interface Container {
  name: string; id: string; cluster: string; node: string; stack: string; service: string;
  slot: string; image: string; labels: Record<string, string>; state: string | null;
  health: string | null; started_at_ms: number | null; first_seen_ms: number;
  last_seen_ms: number; running: boolean;
}
export interface Service {
  cluster: string; stack: string; service: string; containers: number; running: number;
  nodes: string[]; images: string[]; first_seen_ms: number; last_seen_ms: number;
}
export interface Node {
  cluster: string; node: string; engine_version: string | null; cpu_cores: number | null;
  memory_total_bytes: number | null; running: number; first_seen_ms: number; last_seen_ms: number;
}
export interface Inventory { containers: Container[]; services: Service[]; nodes: Node[] }
export interface Group {
  labels: Record<string, string>; unit: string; coverage: number; values: (number | null)[];
}
export interface History {
  metric: string; unit: string; fields: { name: string; unit: string }[]; by: string[];
  from_ms: number; to_ms: number; step_ms: number; resolution: string; coverage: number | null;
  gaps: { from_ms: number; to_ms: number }[]; rows_read: number; times_ms: number[];
  groups: Group[];
}

/** What the server said instead of an answer. */
export class Refusal extends Error {
  constructor(readonly status: number, readonly kind: string, message: string) {
    super(message);
  }
}

/** Questions on their way at once; the server answers four at a time. */
const TOGETHER_MAX = 6;
/** Answers kept for going back and forth. */
const KEPT_MAX = 64;

const kept = new Map<string, Promise<unknown>>();
let together = 0;
const waiting: (() => void)[] = [];

async function turn(): Promise<void> {
  if (together >= TOGETHER_MAX) await new Promise<void>((next) => waiting.push(next));
  together += 1;
}

function done(): void {
  together -= 1;
  waiting.shift()?.();
}

function learnSkew(response: Response): void {
  const date = Date.parse(response.headers.get("date") ?? "");
  const ahead_ms = date - Date.now();
  if (!Number.isNaN(ahead_ms)) skew_ms.value = Math.abs(ahead_ms) > 3_000 ? ahead_ms : 0;
}

/** Asks without keeping the answer. */
export async function ask<T>(path: string): Promise<T> {
  await turn();
  try {
    const response = await fetch(path, { headers: { accept: "application/json" } });
    learnSkew(response);
    const body = await response.json().catch(() => null);
    if (!response.ok || body === null || body.status === "error") {
      const text = body?.error ?? `the server answered ${response.status} ${response.statusText}`;
      throw new Refusal(response.status, body?.errorType ?? "unknown", text);
    }
    return body.data as T;
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal(0, "away", "No answer came. What is shown may be old.");
  } finally {
    done();
  }
}

function asked<T>(path: string): Promise<T> {
  const known = kept.get(path);
  if (known) return known as Promise<T>;
  const answer = ask<T>(path);
  kept.set(path, answer);
  answer.catch(() => kept.delete(path));
  for (const oldest of kept.keys()) {
    if (kept.size <= KEPT_MAX) break;
    kept.delete(oldest);
  }
  return answer;
}

export interface Answers<T> {
  /** In the order of the questions; the last ones of the same subject while new ones are awaited. */
  data: T[] | null;
  error: Refusal | null;
  loading: boolean;
}

/**
 * Answers to several questions. `about` says what they are about: while it stays the same, old
 * answers are shown until new ones are there. `moment` makes the same questions new again.
 */
export function useAnswers<T>(paths: string[], about: string, moment: number | string = 0): Answers<T> {
  const [state, set] = useState<Answers<T> & { about: string }>(
    { data: null, error: null, loading: true, about },
  );
  const newest = useRef("");
  const key = `${paths.join("\n")}\n${moment}`;
  useEffect(() => {
    newest.current = key;
    set((old) => ({ ...old, data: old.about === about ? old.data : null, loading: true, about }));
    Promise.all(paths.map((path) => (moment === 0 ? asked<T>(path) : ask<T>(path)))).then(
      (data) => {
        if (newest.current === key) set({ data, error: null, loading: false, about });
      },
      (error: Refusal) => {
        if (newest.current === key) set((old) => ({ ...old, error, loading: false, about }));
      },
    );
    return () => {
      newest.current = "";
    };
  }, [key, about]);
  return state.about === about ? state : { data: null, error: null, loading: true };
}

/** The address of a history question. */
export function historyPath(range: Range, question: Record<string, string | undefined>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(question)) {
    if (value !== undefined) query.set(name, value);
  }
  query.set("from", String(range.from_s));
  query.set("to", String(range.to_s));
  query.set("step", `${range.step_s}s`);
  return `api/v1/history?${query}`;
}

/** The address of the inventory of a range, to its very end: ages are told from it. */
export function inventoryPath(range: Range, filter: Record<string, string> = {}): string {
  const query = new URLSearchParams({
    ...filter, from: String(range.from_s), to: String(Math.ceil(span.value[1] / 1000)),
  });
  return `api/v1/inventory?${query}`;
}
