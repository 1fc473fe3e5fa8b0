/**
 * Runs the real runner for a test as a worker would: a job on stdin, events from stdout, a
 * directory of its own.
 *
 * Nothing here sleeps. Tests wait for an event, an exit or a condition, each with a bound that
 * suits a loaded machine.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import readline from 'node:readline';
import { fileURLToPath } from 'node:url';

export const MAIN = fileURLToPath(new URL('../src/main.mjs', import.meta.url));
export const CHROMIUM = process.env.CHROMIUM ?? '/usr/bin/chromium';
/** Longest wait for anything, in milliseconds. */
export const BOUND_MS = 90_000;

/**
 * @typedef {Record<string, any> & { type: string }} RunnerEvent
 * @typedef {object} Place
 * @property {string} root
 * @property {string} profile
 * @property {string} artifacts
 * @property {string} tmp
 * @property {(() => unknown)[]} closers what to stop before the check for leftovers
 */

/**
 * Creates a directory for one test. After the test, asserts that no process of the run is left and
 * deletes the directory.
 * @param {import('node:test').TestContext} t
 * @returns {Place}
 */
export function createPlace(t) {
  const root = fs.mkdtempSync(path.join(os.tmpdir(), 'callboard-test-'));
  /** @type {Place} */
  const place = { root, profile: path.join(root, 'profile'), artifacts: path.join(root, 'artifacts'), tmp: path.join(root, 'tmp'), closers: [] };
  fs.mkdirSync(place.tmp);
  t.after(async () => {
    for (const close of place.closers) await close();
    await eventually(() => processesOf(root).length === 0, () => `left over:\n${processesOf(root).map((p) => p.command).join('\n')}`);
    fs.rmSync(root, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  });
  return place;
}

/**
 * Returns the live processes that were started in a place, by its path in their arguments or their
 * environment.
 * @param {string} root
 * @returns {{ pid: number, command: string }[]}
 */
export function processesOf(root) {
  return fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name)).flatMap((name) => {
    try {
      const command = fs.readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ');
      const environment = fs.readFileSync(`/proc/${name}/environ`, 'utf8');
      const state = /\) (\S)/.exec(fs.readFileSync(`/proc/${name}/stat`, 'utf8'))?.[1];
      if (state === 'Z' || !(command.includes(root) || environment.includes(`TMPDIR=${root}`))) return [];
      return [{ pid: Number(name), command }];
    } catch {
      return []; // it has just ended
    }
  });
}

/** Chromium's main process. @param {string} root */
export function chromiumOf(root) {
  return processesOf(root).find((p) => p.command.includes('--user-data-dir=') && !p.command.includes('--type='));
}

/**
 * @param {() => unknown} condition
 * @param {() => string} [otherwise]
 */
export async function eventually(condition, otherwise = () => 'the condition never became true') {
  const end = performance.now() + BOUND_MS;
  while (!condition()) {
    if (performance.now() > end) assert.fail(otherwise());
    await new Promise((resolve) => { setTimeout(resolve, 20); });
  }
}

/** @param {Place} place @param {string} script @param {Record<string, any>} [changes] */
export function jobFor(place, script, changes = {}) {
  const { profile, ...rest } = changes;
  return {
    v: 1,
    job: 'job_test',
    attempt: 1,
    script,
    input: {},
    services: {},
    profile: { name: 'test', directory: place.profile, environment: {}, secrets: {}, ...profile },
    proxy: null,
    options: { screenshot: 'OFF' },
    artifactsDirectory: place.artifacts,
    chromium: CHROMIUM,
    sandbox: 'auto',
    ...rest,
  };
}

/**
 * @param {Place} place
 * @param {string | object} job an object, or the first line verbatim
 * @param {{ env?: Record<string, string>, wrap?: string[], stdio?: any[] }} [options] wrap: a
 *   command that starts the runner
 */
export function startRunner(place, job, { env = {}, wrap = [], stdio } = {}) {
  const [command, ...parameters] = [...wrap, process.execPath, MAIN];
  const child = spawn(command, parameters, {
    env: { PATH: process.env.PATH, HOME: place.tmp, TMPDIR: place.tmp, ...env },
    stdio: stdio ?? ['pipe', 'pipe', 'pipe'],
  });
  /** @type {RunnerEvent[]} */
  const events = [];
  let stderr = '';
  let output = '';
  let changed = () => {};
  child.stdin?.on('error', () => {});
  child.stdin?.write(typeof job === 'string' ? job : `${JSON.stringify(job)}\n`);
  child.stderr?.on('data', (chunk) => { stderr += chunk; });
  if (child.stdout) {
    readline.createInterface({ input: child.stdout }).on('line', (line) => {
      if (line === '') return; // each event begins on a line of its own
      output += `${line}\n`;
      events.push(JSON.parse(line));
      changed();
    });
  }
  let closed = false;
  /** @type {Promise<{ code: number | null, signal: string | null }>} */
  const exit = new Promise((resolve) => {
    child.on('close', (code, signal) => {
      closed = true;
      changed();
      resolve({ code, signal });
    });
  });
  const told = () => `events:\n${output}\nstderr:\n${stderr}`;

  return {
    child,
    events,
    output: () => output,
    /** @param {string} type */
    all: (type) => events.filter((event) => event.type === type),
    /**
     * @param {string} type @param {(event: RunnerEvent) => boolean} [matches]
     * @returns {Promise<RunnerEvent>}
     */
    async event(type, matches = () => true) {
      const end = performance.now() + BOUND_MS;
      for (;;) {
        const found = events.find((event) => event.type === type && matches(event));
        if (found) return found;
        if (closed || performance.now() > end) assert.fail(`no ${type} event; ${told()}`);
        await new Promise((resolve) => {
          const timer = setTimeout(resolve, BOUND_MS);
          changed = () => {
            clearTimeout(timer);
            resolve(undefined);
          };
        });
      }
    },
    /** Returns the exit code and the last event, and asserts that no other event ends the run. */
    async end() {
      /** @type {NodeJS.Timeout | undefined} */
      let timer;
      const late = new Promise((resolve) => { timer = setTimeout(resolve, BOUND_MS, 'late'); });
      const ended = await Promise.race([exit, late]);
      clearTimeout(timer);
      if (ended === 'late') {
        child.kill('SIGKILL');
        assert.fail(`the runner did not end; ${told()}`);
      }
      const { code } = /** @type {{ code: number | null }} */ (ended);
      const last = events.at(-1);
      const final = events.filter((event) => event.type === 'result' || event.type === 'failure');
      assert.deepEqual(final, stdio ? final : [last], told());
      for (const event of events) assert.equal(event.v, 1);
      return { code, last: /** @type {RunnerEvent} */ (last), told };
    },
  };
}

/**
 * Runs a job to its end.
 * @param {Place} place
 * @param {string} script
 * @param {Record<string, any>} [changes]
 * @param {Parameters<typeof startRunner>[2]} [options]
 */
export async function runJob(place, script, changes, options) {
  const runner = startRunner(place, jobFor(place, script, changes), options);
  const { code, last, told } = await runner.end();
  return { ...runner, code, last, told };
}

/** @param {Place} place @param {string} name */
export function artifactBytes(place, name) {
  return fs.readFileSync(path.join(place.artifacts, name));
}
