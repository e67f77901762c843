/** Runs every `src/*.test.ts` with Node's own test runner; Vite turns the TypeScript into scripts. */
import { readdirSync } from "node:fs";
import { after } from "node:test";
import { createServer } from "vite";

const vite = await createServer({
  server: { middlewareMode: true, hmr: false, ws: false },
  appType: "custom",
  logLevel: "error",
});
after(() => vite.close());
for (const name of readdirSync(new URL("src", import.meta.url))) {
  if (name.endsWith(".test.ts")) await vite.ssrLoadModule(`/src/${name}`);
}
