// Copies what the page uses of its dependencies to assets/vendor, which go
// build embeds: the distributed files as they are, with their licences.
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

const files = {
  "htmx.js": "htmx.org/dist/htmx.min.js",
  "uplot.js": "uplot/dist/uPlot.iife.min.js",
  "uplot.css": "uplot/dist/uPlot.min.css",
};
const licences = { "htmx.org": "htmx.org/LICENSE", uplot: "uplot/LICENSE" };

// The page promises to stay small: all of it fits in what a slow phone
// fetches in a second.
const mostBytes = 150 * 1024;

const from = new URL("node_modules/", import.meta.url);
const to = new URL("assets/vendor/", import.meta.url);

await rm(to, { recursive: true, force: true });
await mkdir(to, { recursive: true });
let size = 0;
for (const [name, path] of Object.entries(files)) {
  await cp(new URL(path, from), new URL(name, to));
  size += gzipSync(await readFile(new URL(name, to))).length;
}
let text = "";
for (const [name, path] of Object.entries(licences)) {
  const { version } = JSON.parse(await readFile(new URL(`${name}/package.json`, from)));
  text += `${name} ${version}\n\n${await readFile(new URL(path, from), "utf8")}\n`;
}
await writeFile(new URL("licences.txt", to), text);
if (size > mostBytes) {
  throw new Error(`the scripts take ${size} bytes compressed, want at most ${mostBytes}`);
}
