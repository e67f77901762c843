/**
 * Builds the page: one script, one style sheet, one icon, each also gzipped.
 *
 * Addresses are relative so that the page works under any path of a proxy, and nothing is put
 * inline, because the server's Content-Security-Policy allows neither inline scripts nor `data:`.
 */
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

/** Writes `name.gz` beside each file that shrinks; level 9 and no file time, so always the same. */
function gzipped(): Plugin {
  let folder = "dist";
  const visit = (path: string) => {
    for (const entry of readdirSync(path, { withFileTypes: true })) {
      const inside = join(path, entry.name);
      if (entry.isDirectory()) visit(inside);
      else if (!entry.name.endsWith(".gz")) {
        const bytes = readFileSync(inside);
        const small = gzipSync(bytes, { level: 9 });
        if (small.length < bytes.length) writeFileSync(`${inside}.gz`, small);
      }
    }
  };
  return {
    name: "plimsoll-gzipped",
    apply: "build",
    configResolved: (config) => {
      folder = join(config.root, config.build.outDir);
    },
    closeBundle: () => visit(folder),
  };
}

const server = process.env["PLIMSOLL_URL"] ?? "http://127.0.0.1:7272";
const proxy = { "/api": server, "/openapi.json": server, "/metrics": server, "/plain": server };

export default defineConfig({
  base: "./",
  plugins: [gzipped()],
  server: { proxy },
  preview: { proxy },
  build: {
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: false,
    cssCodeSplit: false,
    reportCompressedSize: false,
  },
});
