/**
 * Keeps a profile's session cookies (those without an expiry) from one run to the next, because
 * Chromium forgets them when it closes.
 *
 * They are restored after the browser has started and saved before it closes. The file lies in the
 * profile directory, is readable by its owner only, and is replaced atomically. A cookie that the
 * profile still has is never replaced by a saved one.
 */
import fs from 'node:fs/promises';
import path from 'node:path';

const FILE = 'callboard-session.json';
const FILE_VERSION = 1;

/**
 * @param {import('playwright-core').BrowserContext} context
 * @param {string} profileDirectory
 * @param {(text: string) => void} warn
 */
export async function restoreSession(context, profileDirectory, warn) {
  const saved = await read(path.join(profileDirectory, FILE), warn);
  if (saved.length === 0) return;
  const present = new Set((await context.cookies()).map(identity));
  const missing = saved.filter((cookie) => !present.has(identity(cookie)));
  try {
    await context.addCookies(missing);
  } catch {
    // One refused cookie must not cost the others.
    let refused = 0;
    for (const cookie of missing) await context.addCookies([cookie]).catch(() => { refused += 1; });
    if (refused > 0) warn(`${refused} session cookies of the profile could not be restored`);
  }
}

/**
 * @param {import('playwright-core').BrowserContext} context
 * @param {string} profileDirectory
 */
export async function saveSession(context, profileDirectory) {
  const cookies = (await context.cookies()).filter((cookie) => cookie.expires === -1);
  const file = path.join(profileDirectory, FILE);
  const part = `${file}.part`;
  await fs.writeFile(part, JSON.stringify({ v: FILE_VERSION, cookies }), { mode: 0o600 });
  await fs.rename(part, file);
}

/**
 * @param {string} file
 * @param {(text: string) => void} warn
 * @returns {Promise<import('playwright-core').Cookie[]>}
 */
async function read(file, warn) {
  let text;
  try {
    text = await fs.readFile(file, 'utf8');
  } catch {
    return []; // the profile's first run
  }
  try {
    const { v, cookies } = JSON.parse(text);
    if (v === FILE_VERSION && Array.isArray(cookies)) return cookies;
  } catch {
    // the warning below covers it
  }
  warn(`${FILE} in the profile cannot be read, so the run starts without its session cookies`);
  return [];
}

/** @param {import('playwright-core').Cookie} cookie */
function identity({ name, domain, path: cookiePath, partitionKey }) {
  return JSON.stringify([name, domain, cookiePath, partitionKey ?? null]);
}
