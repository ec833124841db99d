// Writes the page into the folder given: index.html, phone.css and phone.js with JsSIP inside.
// Usage: node bundle.mjs FOLDER

import { copyFile, mkdir } from "node:fs/promises";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = path.dirname(fileURLToPath(import.meta.url));
const out = process.argv[2];
if (!out) {
  console.error("usage: node bundle.mjs FOLDER");
  process.exit(2);
}

await mkdir(out, { recursive: true });
await build({
  entryPoints: [path.join(here, "main.js")],
  outfile: path.join(out, "phone.js"),
  bundle: true,
  minify: true,
  format: "iife",
  target: ["chrome100", "firefox100", "safari15"],
  legalComments: "none",
  logLevel: "warning",
  banner: { js: "/* Ringway softphone. Contains JsSIP (MIT), debug, events and sdp-transform (MIT). */" },
});
for (const file of ["index.html", "phone.css"]) {
  await copyFile(path.join(here, file), path.join(out, file));
}
