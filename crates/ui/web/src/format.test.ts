/** What people read for a number or a time. */
import assert from "node:assert/strict";
import { test } from "node:test";
import {
  formatAxis, formatCount, formatSeconds, formatShare, formatTime, formatValue, shortImage,
} from "./format";
import { complete } from "./completion";
import { niceStep, parseWhen } from "./range";

test("sizes are IEC, rates are SI", () => {
  assert.equal(formatValue(1536, "bytes"), "1.5 KiB");
  assert.equal(formatValue(17_179_869_184, "bytes"), "16 GiB");
  assert.equal(formatValue(1_500, "bytes_per_second"), "1.5 kB/s");
  assert.equal(formatValue(999.7, "bytes_per_second"), "1 kB/s");
  assert.equal(formatValue(12.34, "count_per_second"), "12.3 /s");
  assert.equal(formatValue(0.02, "ratio"), "2 %");
});

test("an absent value is not zero", () => {
  assert.equal(formatValue(null, "bytes"), "–");
  assert.equal(formatValue(0, "bytes"), "0 B");
  assert.equal(formatShare(null), "–");
  assert.equal(formatCount(undefined), "–");
});

test("cores keep small values apart from none", () => {
  assert.equal(formatValue(0, "cores"), "0 cores");
  assert.equal(formatValue(0.00001, "cores"), "< 0.001 cores");
  assert.equal(formatValue(0.0123, "cores"), "0.012 cores");
  assert.equal(formatValue(6.243, "cores"), "6.24 cores");
});

test("lengths of time have at most two units", () => {
  assert.equal(formatSeconds(0.0042), "4.2 ms");
  assert.equal(formatSeconds(59), "59 s");
  assert.equal(formatSeconds(3_660), "1 h 1 min");
  assert.equal(formatSeconds(86_400 * 3 + 3_600 * 4 + 59), "3 d 4 h");
});

test("times in UTC say so, and the axis shows where a day begins", () => {
  assert.equal(formatTime(0, "utc"), "1970-01-01 00:00:00Z");
  assert.deepEqual(formatAxis([82_800, 86_400], 3_600, "utc"), ["23:00", "01-02"]);
});

test("images lose their registry and keep their tag", () => {
  assert.equal(shortImage("registry.local:5000/shop/api:1.3.7"), "shop/api:1.3.7");
  assert.equal(shortImage("redis"), "redis");
  assert.equal(shortImage("a.b/c@sha256:0123456789abcdef"), "c@0123456789ab");
});

test("steps make about as many values as asked for", () => {
  assert.equal(niceStep(3_600, 240), 15);
  assert.equal(niceStep(86_400 * 30, 240), 10_800);
});

test("a point of time is relative, Unix seconds or RFC 3339", () => {
  assert.equal(parseWhen("-1h", 7_200_000), 3_600_000);
  assert.equal(parseWhen("now", 5), 5);
  assert.equal(parseWhen("1700000000", 0), 1_700_000_000_000);
  assert.equal(parseWhen("1970-01-01T00:00:01Z", 0), 1_000);
  assert.equal(parseWhen("soon", 0), null);
});

test("completion knows metric, label and value", () => {
  const at = (text: string) => complete(text, text.length);
  assert.deepEqual(at("rate(cont"), { kind: "name", from: 5, word: "cont" });
  assert.deepEqual(at('up{se'), { kind: "label", from: 3, word: "se" });
  assert.deepEqual(at('up{service="we'), { kind: "value", label: "service", from: 12, word: "we" });
  assert.deepEqual(at("sum by (no"), { kind: "label", from: 8, word: "no" });
  assert.equal(at('up{service="web"}[5'), null);
});
