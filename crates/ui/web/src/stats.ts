/**
 * Small sums over columns of values in which null means "not reported".
 */
export type Column = (number | null)[];

/** The newest value; null if there is none in the last `within` places. */
export function newest(values: Column, within = 6): number | null {
  for (let index = values.length - 1; index >= Math.max(0, values.length - within); index -= 1) {
    const value = values[index];
    if (value !== null && value !== undefined) return value;
  }
  return null;
}

/** The p-quantile (nearest rank) of what was reported; null if nothing was. */
export function quantile(values: Column, p: number): number | null {
  const known = values.filter((value): value is number => value !== null).sort((a, b) => a - b);
  return known[Math.max(0, Math.ceil(p * known.length) - 1)] ?? null;
}

export function mean(values: Column): number | null {
  const known = values.filter((value): value is number => value !== null);
  return known.length === 0 ? null : known.reduce((sum, value) => sum + value, 0) / known.length;
}

export function largest(values: Column): number | null {
  let most: number | null = null;
  for (const value of values) if (value !== null && (most === null || value > most)) most = value;
  return most;
}

/** Place by place; null where either is. */
export function combine(a: Column, b: Column, with_: (a: number, b: number) => number | null): Column {
  return a.map((left, index) => {
    const right = b[index];
    return left === null || right === null || right === undefined ? null : with_(left, right);
  });
}

/** Adds columns place by place; null only where all are. */
export function sum(columns: Column[]): Column {
  const length = columns[0]?.length ?? 0;
  return Array.from({ length }, (_, index) => {
    let total: number | null = null;
    for (const column of columns) {
      const value = column[index];
      if (value !== null && value !== undefined) total = (total ?? 0) + value;
    }
    return total;
  });
}
