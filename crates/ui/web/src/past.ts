/**
 * Expressions asked before, newest first; kept on the device.
 */
import { signal } from "@preact/signals";

const KEY = "plimsoll-asked";
/** Expressions kept. */
const KEPT_MAX = 20;

function read(): string[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEY) ?? "[]");
    return Array.isArray(kept) ? kept.filter((one) => typeof one === "string") : [];
  } catch {
    return [];
  }
}

export const past = signal<string[]>(read());

export function remember(expression: string): void {
  past.value = [expression, ...past.value.filter((one) => one !== expression)].slice(0, KEPT_MAX);
  try {
    localStorage.setItem(KEY, JSON.stringify(past.value));
  } catch {
    // A browser that keeps nothing still remembers until the page is left.
  }
}
