// Drives Chromium for the Python side: JSON lines in, JSON lines out.
//   in:  {"id": 1, "page": "a", "command": "open" | "close" | <phone command>, "options": {...}}
//   out: {"id": 1, "result": ...} | {"id": 1, "error": "..."} | {"page": "a", "event": {...}}

import http from 'node:http';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';
import path from 'node:path';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';

const here = path.dirname(fileURLToPath(import.meta.url));
const settings = JSON.parse(process.argv[2] ?? '{}');

const bundle = await build({
  entryPoints: [path.join(here, 'page.js')],
  bundle: true, write: false, format: 'iife', platform: 'browser', define: { global: 'window' },
  logLevel: 'error',
});
const script = bundle.outputFiles[0].text;

// Loopback is a secure context, and only a page from loopback may speak to loopback.
const server = http.createServer((request, response) => {
  const isScript = request.url === '/phone.js';
  response.setHeader('Content-Type', isScript ? 'text/javascript' : 'text/html');
  response.end(isScript ? script : '<!doctype html><meta charset=utf-8><title>phone</title><body>'
    + '<script src=/phone.js></script>');
});
await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });

const browser = await chromium.launch({
  executablePath: settings.executable ?? '/usr/bin/chromium',
  headless: false, // --headless=new below is the real browser without a window
  args: ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
    '--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream', '--allow-loopback-in-peer-connection',
    '--ignore-certificate-errors', '--autoplay-policy=no-user-gesture-required',
    '--disable-dev-shm-usage', ...(settings.args ?? [])],
});
const pages = new Map();

const say = (value) => process.stdout.write(`${JSON.stringify(value)}\n`);

async function open(name, url) {
  const context = await browser.newContext({ ignoreHTTPSErrors: true });
  const page = await context.newPage();
  pages.set(name, page);
  await page.exposeFunction('report', (event) => say({ page: name, event }));
  await page.addInitScript(() => {
    window.sockets = [];
    const Plain = window.WebSocket;
    window.WebSocket = class extends Plain {
      constructor(...arguments_) { super(...arguments_); window.sockets.push(this); }
    };
  });
  page.on('pageerror', (error) => say({ page: name, event: { type: 'pageerror', text: String(error) } }));
  page.on('console', (message) => {
    if (message.type() === 'error') say({ page: name, event: { type: 'console', text: message.text() } });
  });
  await page.goto(url ?? `http://127.0.0.1:${server.address().port}/`);
}

// In a page that is not ours: the strongest frequency of what an <audio> element plays.
async function strongest(id) {
  const stream = document.getElementById(id).srcObject;
  if (!stream) return 0;
  if (window.ear?.stream !== stream) {
    const context = new AudioContext();
    const analyser = context.createAnalyser();
    analyser.fftSize = 4096;
    context.createMediaStreamSource(stream).connect(analyser);
    window.ear = { stream, context, analyser };
  }
  const { context, analyser } = window.ear;
  const bins = new Float32Array(analyser.frequencyBinCount);
  analyser.getFloatFrequencyData(bins);
  const best = bins.reduce((index, level, at) => (level > bins[index] ? at : index), 0);
  return bins[best] > -60 ? (best * context.sampleRate) / analyser.fftSize : 0;
}

async function carryOut({ page, command, options }) {
  if (command === 'open') return open(page, options?.url);
  if (command === 'close') {
    // As a closed tab: nothing is said to anyone.
    await pages.get(page).context().close();
    return null;
  }
  if (command === 'text') return pages.get(page).innerText('body');
  if (command === 'click') return pages.get(page).getByRole('button', options).click({ timeout: 5000 });
  if (command === 'fill') return pages.get(page).getByRole('textbox').first().fill(options.text);
  if (command === 'strongest') return pages.get(page).evaluate(strongest, options.element);
  return pages.get(page).evaluate(
    ([name, details]) => window.phone(name, details), [command, options ?? {}]);
}

say({ ready: true });
const lines = readline.createInterface({ input: process.stdin });
lines.on('line', async (line) => {
  const order = JSON.parse(line);
  try {
    say({ id: order.id, result: (await carryOut(order)) ?? null });
  } catch (error) {
    say({ id: order.id, error: String(error) });
  }
});
lines.on('close', async () => {
  await browser.close();
  process.exit(0);
});
