/**
 * Opens every page of the web user interface in a real Chromium, against a running server.
 *
 *   PLIMSOLL_URL=http://127.0.0.1:7171 node pages.mjs
 *
 * Checks, at three widths, in light and dark: no error on the console, nothing refused by the
 * Content-Security-Policy, no request to another host, what each page must show, nothing wider
 * than the window, nothing that axe calls serious, names with markup shown as text, the page's states without numbers, and what
 * goes over the wire. Screenshots go to `target/ui-screenshots`.
 * `CHROMIUM` names another browser than `/usr/bin/chromium`.
 */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import axe from "axe-core";
import { chromium } from "playwright-core";

const base = new URL(process.env.PLIMSOLL_URL ?? "http://127.0.0.1:7171/");
const folder = process.env.UI_SCREENSHOTS
  ?? fileURLToPath(new URL("../../target/ui-screenshots/", import.meta.url));
const WIDTHS = [[1280, 800], [1920, 1080], [390, 844]];
const TRANSFERRED_BYTES_MAX = 250 * 1024;
const HOSTILE = '<img src=x onerror="window.broken=1"><b>x</b>';

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
await mkdir(folder, { recursive: true });

/** A window that remembers everything that must not happen in it. */
async function open(width, height, theme = "light") {
  const context = await browser.newContext({
    viewport: { width, height }, colorScheme: theme, timezoneId: "Europe/Berlin",
    hasTouch: width < 500,
  });
  const page = await context.newPage();
  const wrong = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) wrong.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => wrong.push(`error: ${error.stack ?? error.message}`));
  page.on("request", (request) => {
    const { origin, protocol } = new URL(request.url());
    if (origin !== base.origin && protocol !== "blob:") wrong.push(`outside: ${request.url()}`);
  });
  await page.addInitScript(() => {
    addEventListener("securitypolicyviolation", (event) => {
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  return { page, wrong, close: () => context.close() };
}

/** Waits until a page shows what it must, and nothing is being asked. */
async function settled(page, path, shows) {
  const response = await page.goto(new URL(path, base).href);
  assert.ok(response?.ok(), `${path} answers ${response?.status()}`);
  for (const text of shows) {
    await page.getByText(text).filter({ visible: true }).first().waitFor({ timeout: 15_000 });
  }
  await page.waitForFunction(() => !document.querySelector(".skeleton, .wave, [aria-busy=true]"));
  await page.waitForLoadState("networkidle");
  const text = await page.locator("body").innerText();
  assert.ok(!/\b(NaN|undefined|null|\[object)\b/.test(text), `${path} shows a broken value: ${
    /.{0,60}\b(NaN|undefined|null|\[object)\b.{0,60}/.exec(text)?.[0]}`);
}

/** What axe finds serious, with the elements it is about. */
async function usable(page, path) {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() => window.axe.run(document));
  const serious = violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, nodes }) => `${id}: ${nodes.slice(0, 3).map(({ html }) => html.slice(0, 160))}`);
  assert.deepEqual(serious, [], `${path} by axe`);
}

async function fits(page, path) {
  const [wide, seen] = await page.evaluate(() => [
    document.documentElement.scrollWidth, document.documentElement.clientWidth,
  ]);
  assert.ok(wide <= seen + 1, `${path} is ${wide} px wide in a window of ${seen} px`);
}

/** The fleet, once the server has one: a server just started needs a round, or its history. */
async function known() {
  const deadline = Date.now() + 60_000;
  for (;;) {
    const answer = await fetch(new URL("api/v1/inventory?from=-1h", base));
    const { data } = await answer.json();
    const services = [...data.services].sort((a, b) => b.running - a.running);
    const container = data.containers.find((one) => one.running
      && one.service === services[0]?.service && one.stack === services[0]?.stack);
    if (container && data.nodes[0]) return { busiest: services[0], container, node: data.nodes[0] };
    assert.ok(Date.now() < deadline, "the server knows a service, a container and a node");
    await new Promise((next) => setTimeout(next, 500));
  }
}

const { busiest, container, node } = await known();

const query = (of) => new URLSearchParams(of).toString();
const service = query({
  cluster: busiest.cluster, stack: busiest.stack, service: busiest.service,
});
const expression = "sum by (service) (rate(container_cpu_usage_seconds_total[5m]))";
const PAGES = [
  ["fleet", "", ["Fleet", node.node, "Services", "p95", busiest.service]],
  ["fleet-cards", "?view=cards&sort=memory", [busiest.service, "Block IO"]],
  ["service", `service?${service}`, [busiest.service, "CPU", "Memory", "Network", "Containers"]],
  ["service-replicas", `service?${service}&split=replica`, [busiest.service, "All", "CPU"]],
  ["node", `node?${query({ cluster: node.cluster, node: node.node })}`, [node.node, "Node memory"]],
  ["container", `container?${query({ container_id: container.id, name: container.name })}`,
    [container.name, container.image, "Labels"]],
  ["explore", "explore", ["Ask in PromQL"]],
  ["explore-chart", `explore?${query({ expr: expression })}`, ["Download CSV", busiest.service]],
  ["explore-table", `explore?${query({ expr: expression, as: "table" })}`, ["Series", "Value"]],
  ["status", "status", ["Status", "Storage by table", "Senders", "Limits", node.node]],
];
const only = process.env.ONLY?.split(",");
const pages = PAGES.filter(([name]) => !only || only.includes(name));

async function everyPage() {
  for (const [width, height] of WIDTHS) {
    for (const theme of width === 1920 ? ["dark"] : ["light"]) {
      const { page, wrong, close } = await open(width, height, theme);
      for (const [name, path, shows] of pages) {
        const isWide = width > 500;
        const expected = name === "service-replicas" && busiest.running <= 8
          ? shows.filter((text) => text !== "All") : shows;
        await settled(page, path, expected);
        await page.screenshot({
          path: `${folder}/${name}-${width}.png`, fullPage: isWide || name !== "node",
        });
        await fits(page, name);
        if (width !== 390) await usable(page, name);
        assert.deepEqual(wrong, [], `${name} at ${width} px`);
      }
      await close();
    }
  }
}

/** Markup in every name, label and image is text. */
async function hostileNames() {
  const { page, wrong, close } = await open(1280, 800);
  const spoil = (value) => {
    if (Array.isArray(value)) return value.map(spoil);
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([key, inside]) => {
      const names = ["name", "stack", "service", "node", "image", "state", "engine_version"];
      if (names.includes(key) && typeof inside === "string") return [key, `${inside}${HOSTILE}`];
      if (["nodes", "images"].includes(key) && typeof inside[0] === "string") {
        return [key, inside.map((text) => `${text}${HOSTILE}`)];
      }
      if (key === "labels") {
        return [key, Object.fromEntries(Object.entries(inside).map(
          ([label, text]) => [`${label}${HOSTILE}`, `${text}${HOSTILE}`],
        ))];
      }
      return [key, spoil(inside)];
    }));
  };
  await page.route("**/api/v1/{inventory,history}*", async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, json: spoil(await response.json()) });
  });
  const spoiled = query({ cluster: busiest.cluster, stack: "", service: HOSTILE });
  for (const path of ["", "?view=cards", `service?${spoiled}`, "status",
    `container?${query({ container_id: container.id, name: HOSTILE })}`,
    `explore?${query({ expr: HOSTILE })}`]) {
    await page.goto(new URL(path, base).href);
    await page.waitForLoadState("networkidle");
    if (!path.startsWith("explore")) {
      assert.ok((await page.getByText("<img src=x").count()) > 0, `${path} shows the name`);
    }
    assert.equal(await page.locator("#app img").count(), 0, `${path} made an element of a name`);
    assert.equal(await page.evaluate(() => window.broken), undefined);
  }
  const worse = wrong.filter((text) => !text.includes("status of 4"));
  assert.deepEqual(worse, []);
  await page.goto(new URL("", base).href);
  await page.getByText("<img src=x").first().waitFor();
  await page.screenshot({ path: `${folder}/hostile-1280.png` });
  await close();
}

/** Nothing there, and nobody there. */
async function withoutNumbers() {
  const { page, close } = await open(1280, 800);
  await page.goto(new URL("?from=1000000000&to=1000003600", base).href);
  await page.getByText("Nothing was running").waitFor();
  await page.screenshot({ path: `${folder}/empty-1280.png` });
  await page.goto(new URL("service?service=no-such", base).href);
  await page.getByText("was not seen in this range").waitFor();
  await page.route("**/api/**", (route) => route.abort());
  await page.goto(base.href);
  await page.getByText("The server is away").first().waitFor();
  await page.screenshot({ path: `${folder}/away-1280.png` });
  await close();
}

const has = (page, name, value) =>
  page.waitForURL((url) => url.searchParams.get(name) === value, { timeout: 5_000 });

/** Choosing changes the address, the address restores the choice, dragging zooms, keys work. */
async function choosing() {
  const { page, wrong, close } = await open(1280, 800);
  await settled(page, "", [busiest.service]);
  await page.keyboard.press("/");
  await page.keyboard.type(busiest.service);
  await has(page, "q", busiest.service);
  await page.getByRole("button", { name: "Memory" }).click();
  await has(page, "sort", "memory");
  await page.reload();
  assert.equal(await page.getByRole("searchbox").inputValue(), busiest.service);
  assert.equal(await page.locator("[aria-sort=descending]").innerText(), "Memory ↓");
  await page.getByRole("link", { name: busiest.service }).first().click();
  await page.waitForURL((url) => url.pathname.endsWith("/service"));
  const plot = page.locator(".plot").first();
  await plot.waitFor();
  const box = await plot.boundingBox();
  await page.mouse.move(box.x + box.width * 0.4, box.y + 60);
  await page.mouse.down();
  await page.mouse.move(box.x + box.width * 0.7, box.y + 60, { steps: 5 });
  await page.mouse.up();
  await page.waitForURL((url) => /^\d+$/.test(url.searchParams.get("from")));
  await page.goBack();
  await page.waitForURL((url) => !url.searchParams.has("from"));
  await page.getByRole("button", { name: "By replica" }).press("Enter");
  await has(page, "split", "replica");
  await page.getByRole("button", { name: "Local", exact: true }).click();
  await has(page, "tz", "utc");
  await page.getByRole("button", { name: /Theme/ }).click();
  assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
  assert.deepEqual(wrong, []);
  await close();
}

/** What the first visit costs, without answers of the API. */
async function transferred() {
  const { page, close } = await open(1280, 800);
  const client = await page.context().newCDPSession(page);
  await client.send("Network.enable");
  const assets = new Set();
  let bytes = 0;
  client.on("Network.responseReceived", ({ requestId, response }) => {
    if (!response.url.includes("/api/")) assets.add(requestId);
  });
  client.on("Network.loadingFinished", ({ requestId, encodedDataLength }) => {
    if (assets.has(requestId)) bytes += encodedDataLength;
  });
  await settled(page, "", [busiest.service]);
  const paint_ms = await page.evaluate(
    () => performance.getEntriesByName("first-contentful-paint")[0]?.startTime,
  );
  console.log(`first visit: ${(bytes / 1024).toFixed(1)} KiB, first paint ${paint_ms?.toFixed(0)} ms`);
  assert.ok(bytes > 0 && bytes < TRANSFERRED_BYTES_MAX, `${bytes} bytes are transferred`);
  await close();
}

const CHECKS = { everyPage, hostileNames, withoutNumbers, choosing, transferred };
let failed = 0;
for (const [name, check] of Object.entries(CHECKS)) {
  if (process.env.CHECK && !process.env.CHECK.split(",").includes(name)) continue;
  try {
    await check();
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error.stack}`);
  }
}
await browser.close();
process.exitCode = failed > 0 ? 1 : 0;
