/**
 * Starts Chromium on the profile, through the job's proxy or directly, in Chromium's own sandbox
 * where the system permits it.
 *
 * There is no fallback to another profile or to a direct connection. Only the sandbox may be given
 * up, only in `auto`, and only when it caused the failure.
 */
import fs from 'node:fs';
import { Failure } from './failure.mjs';

/** Longest start of the browser, in milliseconds. It takes several seconds on a loaded machine. */
const LAUNCH_TIMEOUT_MS = 60_000;

const FLAGS = [
  '--disable-gpu',
  '--disable-quic', // UDP does not go through an HTTP proxy
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-domain-reliability',
  '--disable-sync',
  '--disable-dev-shm-usage', // containers give /dev/shm 64 MB
  '--no-pings',
];
// Without it, Chromium uses the proxy of the environment or the desktop.
const DIRECT_FLAGS = ['--no-proxy-server'];
const PROXIED_FLAGS = [
  // Otherwise WebRTC sends UDP around the proxy (measured). The switch was formerly called
  // --force-webrtc-ip-handling-policy. Chromium ignores unknown switches, so both are passed.
  '--webrtc-ip-handling-policy=disable_non_proxied_udp',
  '--force-webrtc-ip-handling-policy=disable_non_proxied_udp',
];

/** What Chromium prints when the kernel or a container's policy forbids its sandbox. */
const SANDBOX_ERROR = /sandboxing failed|No usable sandbox|Failed to move to new namespace|SUID sandbox|setuid sandbox|zygote_host_impl|Running as root without --no-sandbox/i;

/**
 * Returns what every Chromium of the run is started with, the profile's and those that the script
 * launches.
 * @param {import('./job.mjs').Job} job
 * @param {Record<string, string>} environment
 * @param {boolean} sandbox
 */
export function launchDefaults(job, environment, sandbox) {
  return {
    executablePath: job.chromium,
    args: [...FLAGS, ...(job.proxy ? PROXIED_FLAGS : DIRECT_FLAGS)],
    ...(job.proxy && { proxy: job.proxy }),
    env: environment,
    headless: job.options.headless,
    chromiumSandbox: sandbox,
    // The run closes the browser itself, in its own order.
    handleSIGTERM: false,
    handleSIGINT: false,
    handleSIGHUP: false,
  };
}

/**
 * @typedef {object} OpenedBrowser
 * @property {import('playwright-core').BrowserContext} context
 * @property {import('playwright-core').Page} page
 * @property {string} version
 * @property {boolean} sandbox
 */

/**
 * @param {object} parts
 * @param {import('playwright-core').BrowserType} parts.chromium
 * @param {import('./job.mjs').Job} parts.job
 * @param {Record<string, string>} parts.environment
 * @param {object} parts.recording context options that record video and HAR
 * @param {(text: string) => void} parts.warn
 * @returns {Promise<OpenedBrowser>} rejects with a Failure
 */
export async function openBrowser({ chromium, job, environment, recording, warn }) {
  checkBefore(job);
  /** @param {boolean} sandbox */
  const launch = (sandbox) => chromium.launchPersistentContext(job.profile.directory, {
    ...launchDefaults(job, environment, sandbox),
    ...recording,
    viewport: job.options.viewport,
    timeout: LAUNCH_TIMEOUT_MS,
  });

  let sandbox = job.sandbox !== 'off';
  if (job.sandbox === 'auto' && process.getuid?.() === 0) {
    sandbox = false;
    warn("Chromium's sandbox is off because it does not run as root");
  }
  let context;
  try {
    context = await launch(sandbox);
  } catch (error) {
    if (!(job.sandbox === 'auto' && sandbox && SANDBOX_ERROR.test(String(error)))) throw launchFailure(error);
    sandbox = false;
    warn("Chromium's sandbox is off because this system does not permit user namespaces");
    context = await launch(sandbox).catch((second) => { throw launchFailure(second); });
  }
  const page = context.pages()[0] ?? await context.newPage();
  return { context, page, version: context.browser()?.version() ?? 'unknown', sandbox };
}

/**
 * Checks what can be checked without a browser, for clearer messages than the browser's.
 * @param {import('./job.mjs').Job} job
 */
function checkBefore({ proxy, chromium, profile }) {
  if (proxy?.server.startsWith('socks') && (proxy.username || proxy.password)) {
    throw new Failure('BROWSER_LAUNCH', 'Chromium cannot log in to a SOCKS proxy. Put a local proxy without '
      + 'credentials, or an HTTP proxy, in front of it.', { retryable: false });
  }
  try {
    fs.accessSync(chromium, fs.constants.X_OK);
  } catch {
    throw new Failure('BROWSER_LAUNCH', `there is no browser at ${chromium}`);
  }
  try {
    fs.mkdirSync(profile.directory, { recursive: true, mode: 0o700 });
    fs.accessSync(profile.directory, fs.constants.R_OK | fs.constants.W_OK | fs.constants.X_OK);
  } catch (error) {
    const { code } = /** @type {NodeJS.ErrnoException} */ (error);
    throw new Failure('BROWSER_LAUNCH', `the profile directory cannot be used (${code})`);
  }
}

/** @param {unknown} error */
function launchFailure(error) {
  // eslint-disable-next-line no-control-regex -- colours begin with ESC
  const text = (error instanceof Error ? error.message : String(error)).replace(/\u001b\[[0-9;]*m/g, '');
  // The rest of Playwright's text is the whole command line and Playwright's own log.
  const exited = /<process did exit: exitCode=(\w+), signal=(\w+)>/.exec(text);
  const summary = exited && /has been closed|Failed to launch the browser process/.test(text)
    ? `Chromium exited while it was starting (${exited[1] === 'null' ? exited[2] : `exit code ${exited[1]}`})`
    : text.split('\n')[0];
  const reasons = text.split('\n').filter((line) => /(ERROR|FATAL):/.test(line) && !/dbus|vaapi|gpu/i.test(line))
    .slice(0, 5)
    .map((line) => line.replace(/^.*?(ERROR|FATAL):\S* /, 'Chromium says: '));
  return new Failure('BROWSER_LAUNCH', [summary, ...reasons].join('\n'));
}
