/**
 * Runs a script by hand: composes a job, keeps stdin open as a worker does, and prints the events.
 *
 *   node examples/try.mjs SCRIPT.mjs [JOB.json]
 *
 * JOB.json is merged over the default job, for example { "input": {...}, "proxy": {...} }. CHROMIUM
 * names the browser (default /usr/bin/chromium). Workers never start this file.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';

const [scriptFile, jobFile] = process.argv.slice(2);
if (!scriptFile) {
  console.error('usage: node examples/try.mjs SCRIPT.mjs [JOB.json]');
  process.exit(64);
}
const place = fs.mkdtempSync(path.join(os.tmpdir(), 'callboard-try-'));
const job = {
  v: 1,
  job: 'job_by_hand',
  attempt: 1,
  script: fs.readFileSync(scriptFile, 'utf8'),
  input: {},
  services: {},
  profile: { name: 'by-hand', directory: path.join(place, 'profile'), environment: {}, secrets: {} },
  proxy: null,
  options: { screenshot: 'ALWAYS' },
  artifactsDirectory: path.join(place, 'artifacts'),
  chromium: process.env.CHROMIUM ?? '/usr/bin/chromium',
  sandbox: 'auto',
  ...(jobFile ? JSON.parse(fs.readFileSync(jobFile, 'utf8')) : {}),
};

const startedAt = performance.now();
const runner = spawn(process.execPath, [fileURLToPath(new URL('../src/main.mjs', import.meta.url))], {
  stdio: ['pipe', 'pipe', 'inherit'],
});
runner.stdin.write(`${JSON.stringify(job)}\n`);
runner.stdin.on('error', () => {}); // it may have ended before it read the job
// Ctrl-C reaches the runner as well, which needs a moment to stop cleanly.
process.on('SIGINT', () => {});
readline.createInterface({ input: runner.stdout }).on('line', (line) => {
  if (line === '') return; // each event begins on a line of its own
  const { v: _v, type, ...fields } = JSON.parse(line);
  console.log(`${((performance.now() - startedAt) / 1000).toFixed(2).padStart(6)}s ${type.padEnd(9)} ${JSON.stringify(fields)}`);
});
runner.on('close', (code, signal) => {
  console.log(`exit ${code ?? signal}; the profile and artifacts are in ${place}`);
  process.exitCode = code ?? 1;
});
