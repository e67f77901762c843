/**
 * The box one writes PromQL in, with completion from the server's names, labels and values.
 *
 * Enter asks, Shift+Enter begins a line, arrows and Tab choose an offer, Escape closes it.
 */
import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ask } from "../api";
import { complete, FUNCTIONS, matching, type Wanted } from "../completion";

/** Offers shown at once. */
const OFFERS_MAX = 12;

const known = new Map<string, Promise<string[]>>();

/** A list of the server's; one that cannot be had is empty, and asked for again next time. */
function list(path: string): Promise<string[]> {
  const before = known.get(path);
  if (before) return before;
  const answer = ask<string[]>(path).catch(() => {
    known.delete(path);
    return [];
  });
  known.set(path, answer);
  return answer;
}

async function candidates(wanted: Wanted): Promise<string[]> {
  if (wanted.kind === "label") return list("api/v1/labels");
  if (wanted.kind === "value") {
    return list(`api/v1/label/${encodeURIComponent(wanted.label)}/values`);
  }
  return [...(await list("api/v1/label/__name__/values")), ...FUNCTIONS];
}

export function QueryBox({ expression, run }: { expression: string; run: (text: string) => void }) {
  const text = useSignal(expression);
  const offers = useSignal<string[]>([]);
  const at = useSignal(0);
  const wanted = useRef<Wanted | null>(null);
  const box = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    void list("api/v1/label/__name__/values");
  }, []);
  const close = () => {
    offers.value = [];
    wanted.current = null;
  };
  const offer = async () => {
    const area = box.current;
    if (!area) return;
    const want = complete(area.value, area.selectionStart);
    wanted.current = want;
    if (!want) return close();
    const found = await candidates(want);
    if (wanted.current === want) {
      offers.value = matching(found, want.word, OFFERS_MAX);
      at.value = 0;
    }
  };
  const take = (one: string) => {
    const want = wanted.current;
    const area = box.current;
    if (!want || !area) return;
    const value = want.kind === "value" ? JSON.stringify(one).slice(1, -1) : one;
    const end = want.from + want.word.length;
    text.value = area.value.slice(0, want.from) + value + area.value.slice(end);
    area.value = text.value;
    area.setSelectionRange(want.from + value.length, want.from + value.length);
    area.focus();
    close();
  };
  const pressed = (event: KeyboardEvent) => {
    const open = offers.value.length > 0;
    if (open && (event.key === "ArrowDown" || event.key === "ArrowUp")) {
      event.preventDefault();
      const by = event.key === "ArrowDown" ? 1 : -1;
      at.value = (at.value + by + offers.value.length) % offers.value.length;
    } else if (open && event.key === "Tab") {
      event.preventDefault();
      take(offers.value[at.value] ?? "");
    } else if (open && event.key === "Escape") {
      event.preventDefault();
      close();
    } else if (event.key === "Enter" && !event.shiftKey) {
      event.preventDefault();
      close();
      if (text.value.trim() !== "") run(text.value.trim());
    }
  };
  return (
    <div class="query">
      <div class="query-field">
        <textarea ref={box} rows={Math.min(8, text.value.split("\n").length + 1)} value={text.value}
          spellcheck={false} autocomplete="off" autocapitalize="off" maxLength={8_000}
          placeholder="sum by (service) (rate(container_cpu_usage_seconds_total[5m]))"
          aria-label="PromQL expression" aria-autocomplete="list" aria-controls="offers"
          aria-activedescendant={offers.value.length > 0 ? `offer-${at.value}` : undefined}
          onInput={(event) => {
            text.value = event.currentTarget.value;
            void offer();
          }}
          onKeyDown={pressed} onBlur={() => setTimeout(close, 150)} />
        <ul id="offers" role="listbox" aria-label="Offers" hidden={offers.value.length === 0}>
          {offers.value.map((one, place) => (
            <li key={one} id={`offer-${place}`} role="option" aria-selected={place === at.value}
              onMouseDown={(event) => { event.preventDefault(); take(one); }}>{one}</li>
          ))}
        </ul>
      </div>
      <button type="button" class="main" disabled={text.value.trim() === ""}
        onClick={() => run(text.value.trim())}>Ask</button>
    </div>
  );
}
