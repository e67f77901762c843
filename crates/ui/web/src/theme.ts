/**
 * Light, dark, or as the device says; kept on the device because it is about the device.
 */
import { effect, signal } from "@preact/signals";

export type Theme = "auto" | "light" | "dark";
const KEY = "plimsoll-theme";
const device = matchMedia("(prefers-color-scheme: dark)");

function read(): Theme {
  try {
    const kept = localStorage.getItem(KEY);
    return kept === "light" || kept === "dark" ? kept : "auto";
  } catch {
    return "auto";
  }
}

export const theme = signal<Theme>(read());
const isDeviceDark = signal(device.matches);
device.addEventListener("change", () => {
  isDeviceDark.value = device.matches;
});

/** Whether the page is dark now; drawings on canvas follow it. */
export const isDark = signal(false);

effect(() => {
  isDark.value = theme.value === "dark" || (theme.value === "auto" && isDeviceDark.value);
  document.documentElement.dataset["theme"] = isDark.value ? "dark" : "light";
  try {
    localStorage.setItem(KEY, theme.value);
  } catch {
    // A browser that keeps nothing still shows the theme.
  }
});

export function nextTheme(): void {
  theme.value = theme.value === "auto" ? "dark" : theme.value === "dark" ? "light" : "auto";
}
