/**
 * What a person is about to write in a PromQL expression, and what could stand there.
 *
 * A guess from the text before the caret, not a parser: it is never wrong in a way that changes
 * what is asked.
 */

export type Wanted =
  | { kind: "name"; from: number; word: string }
  | { kind: "label"; from: number; word: string }
  | { kind: "value"; label: string; from: number; word: string };

/** Functions and aggregations that are offered beside metric names. */
export const FUNCTIONS = [
  "abs", "absent", "avg", "avg_over_time", "bottomk", "ceil", "changes", "clamp_max", "clamp_min",
  "count", "count_over_time", "delta", "deriv", "floor", "histogram_quantile", "increase", "irate",
  "label_join", "label_replace", "last_over_time", "max", "max_over_time", "min", "min_over_time",
  "predict_linear", "quantile", "quantile_over_time", "rate", "resets", "round", "sort",
  "sort_desc", "stddev", "sum", "sum_over_time", "time", "timestamp", "topk", "vector",
];

/** What stands at the caret; null where nothing can be offered. */
export function complete(text: string, caret: number): Wanted | null {
  const before = text.slice(0, caret);
  const open = before.lastIndexOf("{");
  if (open > before.lastIndexOf("}")) {
    const inside = before.slice(open + 1);
    const value = /([a-zA-Z_]\w*)\s*(?:=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)$/.exec(inside);
    const quotes = inside.replaceAll(/\\./g, "").split('"').length - 1;
    if (quotes % 2 === 1) {
      if (!value) return null;
      const word = value[2] ?? "";
      return { kind: "value", label: value[1] ?? "", from: caret - word.length, word };
    }
    const label = /(?:^|,)\s*([a-zA-Z_]\w*)?$/.exec(inside);
    const word = label?.[1] ?? "";
    return label ? { kind: "label", from: caret - word.length, word } : null;
  }
  const grouping = /\b(?:by|without|on|ignoring)\s*\(([^)]*)$/.exec(before);
  if (grouping) {
    const word = /[a-zA-Z_]\w*$/.exec(grouping[1] ?? "")?.[0] ?? "";
    return { kind: "label", from: caret - word.length, word };
  }
  const word = /[a-zA-Z_:][\w:]*$/.exec(before)?.[0] ?? "";
  if (word.length === 0 || /[\w."[]$/.test(before.slice(0, caret - word.length))) return null;
  return { kind: "name", from: caret - word.length, word };
}

/** At most `most` of the candidates that hold the word, those that begin with it first. */
export function matching(candidates: string[], word: string, most: number): string[] {
  const wanted = word.toLowerCase();
  const begins: string[] = [];
  const holds: string[] = [];
  for (const candidate of candidates) {
    const at = candidate.toLowerCase().indexOf(wanted);
    if (candidate === word || at < 0) continue;
    (at === 0 ? begins : holds).push(candidate);
  }
  return [...begins, ...holds].slice(0, most);
}
