/**
 * What stands where numbers would be while there are none: loading, nothing found, refused, away.
 */
import type { ComponentChildren } from "preact";
import type { Refusal } from "./api";
import { refresh } from "./url";

export function Loading({ what }: { what: string }) {
  return (
    <div class="state" role="status">
      <div class="wave" aria-hidden="true" />
      <p>Asking for {what} …</p>
    </div>
  );
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="state empty">
      <p class="state-title">{title}</p>
      {children}
    </div>
  );
}

/** What to do about a refusal, by what kind it is. */
function advice(error: Refusal): string {
  if (error.status === 0) return "Is it running, and is the network between here and there up?";
  if (error.status === 404) return "This server is older than the page, or the address is wrong.";
  if (error.status === 422) return "Choose a shorter range, or filter to fewer series.";
  if (error.status === 503 || error.status === 429) return "It is busy. Try again in a moment.";
  if (error.status >= 500) return "The server's log says more.";
  return "Change what was asked for and try again.";
}

export function Failed({ error, compact = false }: { error: Refusal; compact?: boolean }) {
  return (
    <div class={`state failed${compact ? " compact" : ""}`} role="alert">
      <p class="state-title">{error.status === 0 ? "The server is away" : "That did not work"}</p>
      <p class="state-text">{error.message}</p>
      <p class="dim">{advice(error)}</p>
      <button type="button" onClick={refresh}>Try again</button>
    </div>
  );
}
