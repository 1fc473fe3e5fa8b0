/**
 * Reads the job from the first line of stdin and checks it.
 *
 * stdin stays open afterwards, and its end means that the worker is gone. Never echoes what it
 * read, because the line is full of secrets. Never rejects an unknown field, because the worker may
 * be newer.
 */
import path from 'node:path';
import { Failure } from './failure.mjs';
import { PROTOCOL_VERSION } from './events.mjs';

/** Longest first line, in bytes. */
const MAX_JOB_BYTES = 32 * 1024 * 1024;
const MODES = ['OFF', 'ON_FAILURE', 'ALWAYS'];

/**
 * @typedef {'OFF' | 'ON_FAILURE' | 'ALWAYS'} ArtifactMode
 * @typedef {{ baseUrl: string | null, token: string | null, settings: any }} Service `token` throws if the
 *   command does not name it
 * @typedef {object} Job
 * @property {string} script an ES module's source
 * @property {any} input
 * @property {Record<string, Service>} services
 * @property {{ name: string | null, directory: string, environment: Record<string, string>,
 *   secrets: Record<string, string> }} profile
 * @property {{ server: string, username?: string, password?: string } | null} proxy
 * @property {{ viewport: { width: number, height: number } | null, headless: boolean, trace: ArtifactMode,
 *   video: ArtifactMode, screenshot: ArtifactMode, har: ArtifactMode }} options
 * @property {string} artifactsDirectory
 * @property {string} chromium
 * @property {'auto' | 'on' | 'off'} sandbox
 * @property {string[]} secrets everything that must be masked
 */

/**
 * @param {NodeJS.ReadableStream} stdin
 * @param {(reason: string) => void} onEnd called when stdin ends after the job was read
 * @returns {Promise<Job>} rejects with a Failure
 */
export function readJob(stdin, onEnd) {
  return new Promise((resolve, reject) => {
    /** @type {Buffer[]} */
    let chunks = [];
    let bytes = 0;
    let done = false;
    const ended = () => {
      if (done) return onEnd('the worker is gone (stdin was closed)');
      done = true;
      return reject(new Failure('BAD_INPUT', 'stdin ended before the first line was complete'));
    };
    stdin.on('data', (/** @type {Buffer} */ chunk) => {
      if (done) return; // this version of the protocol sends nothing more on stdin
      const newline = chunk.indexOf(10);
      chunks.push(newline < 0 ? chunk : chunk.subarray(0, newline));
      bytes += chunk.length;
      if (newline < 0 && bytes <= MAX_JOB_BYTES) return;
      done = true;
      try {
        if (bytes > MAX_JOB_BYTES && newline < 0) throw bad(`the first line is longer than ${MAX_JOB_BYTES} bytes`);
        resolve(parseJob(Buffer.concat(chunks).toString('utf8')));
      } catch (error) {
        reject(error);
      }
      chunks = [];
    });
    stdin.on('end', ended);
    stdin.on('error', ended);
  });
}

/** @param {string} message */
function bad(message) {
  return new Failure('BAD_INPUT', message);
}

/**
 * @param {string} line
 * @returns {Job}
 */
export function parseJob(line) {
  /** @type {any} */
  let raw;
  try {
    raw = JSON.parse(line);
  } catch {
    // JSON.parse quotes the text around the error, which may be a secret.
    throw bad('the first line of stdin is not JSON');
  }
  if (!isObject(raw)) throw bad('the first line of stdin is not a JSON object');
  if (raw.v !== PROTOCOL_VERSION) {
    throw bad(`protocol version ${JSON.stringify(raw.v) ?? 'missing'} is not supported. This runner supports version ${PROTOCOL_VERSION}.`);
  }
  const profile = section(raw, 'profile');
  const options = section(raw, 'options');
  const services = readServices(section(raw, 'services'));
  const proxy = readProxy(raw.proxy);
  const secrets = strings(section(profile, 'secrets', 'profile.secrets'), 'profile.secrets');
  const extra = raw.secretsToMask ?? [];
  if (!Array.isArray(extra)) throw bad('secretsToMask must be a list of strings');
  return {
    script: text(raw.script, 'script'),
    input: raw.input ?? {},
    services,
    profile: {
      name: typeof profile.name === 'string' ? profile.name : null,
      directory: directory(profile.directory, 'profile.directory'),
      environment: strings(section(profile, 'environment', 'profile.environment'), 'profile.environment'),
      secrets,
    },
    proxy,
    options: {
      viewport: readViewport(options.viewport),
      headless: options.headless !== false,
      trace: mode(options, 'trace', 'OFF'),
      video: mode(options, 'video', 'OFF'),
      screenshot: mode(options, 'screenshot', 'ON_FAILURE'),
      har: mode(options, 'har', 'OFF'),
    },
    artifactsDirectory: directory(raw.artifactsDirectory, 'artifactsDirectory'),
    chromium: directory(raw.chromium, 'chromium'),
    sandbox: oneOf(raw.sandbox ?? 'auto', ['auto', 'on', 'off'], 'sandbox'),
    secrets: [
      ...extra,
      ...Object.values(secrets),
      ...tokens(section(raw, 'services')),
      proxy?.password,
    ].filter((secret) => typeof secret === 'string'),
  };
}

/** @param {any} value @returns {value is Record<string, any>} */
function isObject(value) {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/**
 * @param {Record<string, any>} parent @param {string} key @param {string} [name]
 * @returns {Record<string, any>}
 */
function section(parent, key, name = key) {
  const value = parent[key] ?? {};
  if (!isObject(value)) throw bad(`${name} must be an object`);
  return value;
}

/** @param {any} value @param {string} name @returns {string} */
function text(value, name) {
  if (typeof value !== 'string' || value === '') throw bad(`${name} is missing or not a string`);
  return value;
}

/** @param {any} value @param {string} name @returns {string} */
function directory(value, name) {
  if (!path.isAbsolute(text(value, name))) throw bad(`${name} must be an absolute path`);
  return value;
}

/** @param {Record<string, any>} values @param {string} name @returns {Record<string, string>} */
function strings(values, name) {
  for (const [key, value] of Object.entries(values)) {
    if (typeof value !== 'string') throw bad(`${name}.${key} must be a string`);
  }
  return values;
}

/** @param {any} value @param {string[]} allowed @param {string} name @returns {any} */
function oneOf(value, allowed, name) {
  if (!allowed.includes(value)) throw bad(`${name} must be one of ${allowed.join(', ')}`);
  return value;
}

/**
 * @param {Record<string, any>} options @param {string} name @param {string} fallback
 * @returns {ArtifactMode}
 */
function mode(options, name, fallback) {
  return oneOf(options[name] ?? fallback, MODES, `options.${name}`);
}

/** @param {any} viewport */
function readViewport(viewport) {
  if (viewport === undefined) return { width: 1280, height: 720 };
  if (viewport === null) return null; // as in Playwright: the page fills the browser's window
  const { width, height } = viewport;
  for (const side of [width, height]) {
    if (!Number.isInteger(side) || side < 1 || side > 10_000) {
      throw bad('options.viewport must have a width and a height from 1 to 10000');
    }
  }
  return { width, height };
}

/** @param {Record<string, any>} services @returns {Record<string, Service>} */
function readServices(services) {
  /** @type {Record<string, Service>} */
  const result = {};
  for (const [name, service] of Object.entries(services)) {
    if (!isObject(service)) throw bad(`services.${name} must be an object`);
    const { baseUrl = null, token = null, settings = {} } = service;
    if (baseUrl !== null && !URL.canParse(baseUrl)) throw bad(`services.${name}.baseUrl is not an absolute URL`);
    if (token !== null && typeof token !== 'string') throw bad(`services.${name}.token must be a string`);
    result[name] = service.isTokenWithheld === true ? withoutToken(name, { baseUrl, settings }) : { baseUrl, token, settings };
  }
  return result;
}

/**
 * A service whose token the command does not name. Not enumerable, so that only a script that reads the
 * token meets the error.
 * @param {string} name @param {{ baseUrl: string | null, settings: any }} rest @returns {Service}
 */
function withoutToken(name, rest) {
  return /** @type {Service} */ (Object.defineProperty(rest, 'token', {
    get() {
      throw new Error(`The command does not name the token of the service ${name}. Add the service to the command's tokens.`);
    },
  }));
}

/** @param {Record<string, any>} services the first line's @returns {string[]} */
function tokens(services) {
  return Object.values(services).map((service) => service.token).filter((token) => typeof token === 'string');
}

/** @param {any} proxy @returns {Job['proxy']} */
function readProxy(proxy) {
  if (proxy === null || proxy === undefined) return null;
  if (!isObject(proxy)) throw bad('proxy must be an object or null');
  const server = text(proxy.server, 'proxy.server');
  if (!URL.canParse(server) || !new URL(server).host) throw bad('proxy.server must be scheme://host:port');
  const url = new URL(server);
  oneOf(url.protocol, ['http:', 'https:', 'socks4:', 'socks5:'], "proxy.server's scheme");
  // In the URL they would end up in Chromium's arguments, which every local user can read.
  if (url.username || url.password) throw bad('proxy credentials belong in proxy.username and proxy.password');
  /** @type {NonNullable<Job['proxy']>} */
  const result = { server };
  for (const key of /** @type {const} */ (['username', 'password'])) {
    if (typeof proxy[key] === 'string' && proxy[key] !== '') result[key] = proxy[key];
  }
  return result;
}
