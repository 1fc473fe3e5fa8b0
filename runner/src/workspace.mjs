/**
 * The run's own temporary directory, and the environment that Chromium gets.
 *
 * Everything in the directory is deleted when the process exits. Never puts a secret into
 * Chromium's environment, and never touches the profile or the artifacts.
 */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createRequire } from 'node:module';

/**
 * @typedef {object} Workspace
 * @property {string} directory
 * @property {string} browsersPath where playwright-core looks for its ffmpeg
 * @property {(name: string) => string} path
 */

/**
 * @returns {Workspace}
 */
export function createWorkspace() {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'callboard-runner-'));
  process.on('exit', () => {
    try {
      fs.rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
    } catch {
      // The shim sweeps TMPDIR as well.
    }
  });
  const browsersPath = path.join(directory, 'browsers');
  // playwright-core reads this while it is being loaded.
  process.env.PLAYWRIGHT_BROWSERS_PATH = browsersPath;
  return { directory, browsersPath, path: (name) => path.join(directory, name) };
}

/**
 * Returns Chromium's environment: this process's and the profile's, without variables that hold a
 * secret or configure a proxy (the job's proxy, or none, is the only one allowed), and with a home
 * that is writable.
 * @param {Workspace} workspace
 * @param {import('./job.mjs').Job} job
 * @param {import('./mask.mjs').Mask} mask
 * @returns {Record<string, string>}
 */
export function browserEnvironment(workspace, job, mask) {
  /** @type {Record<string, string>} */
  const environment = {};
  for (const [name, value] of Object.entries({ ...process.env, ...job.profile.environment })) {
    if (value === undefined || mask(value) !== value) continue;
    if (/^(https?|ftp|all|no|auto)_proxy$/i.test(name) || name.startsWith('PLAYWRIGHT_')) continue;
    environment[name] = value;
  }
  // Chromium keeps its crash dumps here, whatever profile it runs on. A dump holds the browser's
  // memory, cookies included, so it is deleted with the run.
  environment.CHROME_CONFIG_HOME = workspace.path('config');
  if (!isWritableDirectory(environment.HOME)) {
    const home = workspace.path('home');
    fs.mkdirSync(home, { mode: 0o700 });
    environment.HOME = home;
    for (const [name, place] of Object.entries({
      XDG_CONFIG_HOME: '.config',
      XDG_CACHE_HOME: '.cache',
      XDG_DATA_HOME: '.local/share',
      XDG_STATE_HOME: '.local/state',
    })) environment[name] = path.join(home, place);
  }
  return environment;
}

/** @param {string | undefined} directory */
function isWritableDirectory(directory) {
  if (!directory) return false;
  try {
    fs.accessSync(directory, fs.constants.W_OK | fs.constants.X_OK);
    return fs.statSync(directory).isDirectory();
  } catch {
    return false;
  }
}

/**
 * Makes the system's ffmpeg look like the one that playwright-core would have downloaded.
 * @param {Workspace} workspace
 * @returns {boolean} false if ffmpeg is not installed, so there is no video
 */
export function provideFfmpeg(workspace) {
  const ffmpeg = (process.env.PATH ?? '').split(path.delimiter)
    .map((directory) => path.join(directory, 'ffmpeg'))
    .find(isExecutable);
  if (!ffmpeg) return false;
  const manifest = createRequire(import.meta.url).resolve('playwright-core/package.json');
  const { browsers } = JSON.parse(fs.readFileSync(path.join(path.dirname(manifest), 'browsers.json'), 'utf8'));
  const { revision } = browsers.find((/** @type {{ name: string }} */ browser) => browser.name === 'ffmpeg');
  const directory = path.join(workspace.browsersPath, `ffmpeg-${revision}`);
  fs.mkdirSync(directory, { recursive: true });
  fs.symlinkSync(ffmpeg, path.join(directory, process.platform === 'darwin' ? 'ffmpeg-mac' : 'ffmpeg-linux'));
  fs.writeFileSync(path.join(directory, 'INSTALLATION_COMPLETE'), '');
  return true;
}

/** @param {string} file */
function isExecutable(file) {
  try {
    fs.accessSync(file, fs.constants.X_OK);
    return fs.statSync(file).isFile();
  } catch {
    return false;
  }
}
