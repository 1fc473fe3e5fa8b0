/**
 * Writes artifacts into the artifacts directory and announces them.
 *
 * A file is complete before its event is sent, and a name is used once per run. Never writes
 * outside the artifacts directory, and never puts a secret into a file name.
 */
import fs from 'node:fs/promises';
import path from 'node:path';

const MAX_NAME_CHARS = 128;
const MAX_ARTIFACTS = 1000;
/** Largest artifact that a script may write, in bytes. */
const MAX_BYTES = 256 * 1024 * 1024;

/** @type {Record<string, string>} */
const CONTENT_TYPES = {
  '.png': 'image/png',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.webp': 'image/webp',
  '.svg': 'image/svg+xml',
  '.webm': 'video/webm',
  '.pdf': 'application/pdf',
  '.zip': 'application/zip',
  '.har': 'application/json',
  '.json': 'application/json',
  '.html': 'text/html',
  '.csv': 'text/csv',
  '.md': 'text/markdown',
  '.txt': 'text/plain',
};

/**
 * @typedef {object} Artifacts
 * @property {(name: string, content: string | Uint8Array | ArrayBuffer, contentType?: string) =>
 *   Promise<string>} write
 * @property {(name: string, file: string) => Promise<string>} adopt moves a finished file into the
 *   directory
 * @property {() => Promise<void>} settled resolves when every write begun so far has ended
 */

/**
 * @param {string} directory
 * @param {import('./events.mjs').Events} events
 * @param {import('./mask.mjs').Mask} mask
 * @returns {Artifacts}
 */
export function createArtifacts(directory, events, mask) {
  const used = new Set();
  /** @type {Set<Promise<unknown>>} */
  const pending = new Set();

  /**
   * @param {string} name
   * @param {string | undefined} contentType
   * @param {(part: string) => Promise<void>} produce writes the temporary file
   */
  const publish = async (name, contentType, produce) => {
    const unique = reserve(name, used, mask);
    const file = path.join(directory, unique);
    await fs.mkdir(directory, { recursive: true });
    const part = path.join(directory, `.${unique}.part`);
    await produce(part);
    await fs.rename(part, file);
    const type = contentType ?? CONTENT_TYPES[path.extname(unique).toLowerCase()] ?? 'application/octet-stream';
    events.emit('artifact', { name: unique, contentType: type, path: unique });
    return unique;
  };
  /** @template T @param {Promise<T>} task @returns {Promise<T>} */
  const tracked = (task) => {
    pending.add(task);
    const done = () => pending.delete(task);
    task.then(done, done);
    return task;
  };

  return {
    write(name, content, contentType) {
      return tracked((async () => {
        const bytes = toBytes(content);
        if (bytes.length > MAX_BYTES) throw new RangeError(`artifact ${name} is larger than ${MAX_BYTES} bytes`);
        return publish(name, contentType, (part) => fs.writeFile(part, bytes));
      })());
    },
    adopt(name, file) {
      return tracked(publish(name, undefined, (part) => move(file, part)));
    },
    async settled() {
      await Promise.allSettled(pending);
    },
  };
}

/**
 * Returns a plain file name that no other artifact of the run has.
 * @param {unknown} wanted
 * @param {Set<string>} used
 * @param {import('./mask.mjs').Mask} mask
 */
function reserve(wanted, used, mask) {
  if (typeof wanted !== 'string' || wanted === '') throw new TypeError('an artifact name must be a non-empty string');
  if (used.size >= MAX_ARTIFACTS) throw new RangeError(`a run may keep at most ${MAX_ARTIFACTS} artifacts`);
  const clean = mask(wanted).replace(/[^\p{L}\p{N}._ -]/gu, '_').replace(/^\.+/, '_');
  const extension = path.extname(clean).slice(0, 16);
  const stem = clean.slice(0, clean.length - path.extname(clean).length).slice(0, MAX_NAME_CHARS - 32) || '_';
  let name = `${stem}${extension}`;
  // Some file systems ignore case.
  for (let n = 2; used.has(name.toLowerCase()); n += 1) name = `${stem}-${n}${extension}`;
  used.add(name.toLowerCase());
  return name;
}

/** @param {string | Uint8Array | ArrayBuffer} content */
function toBytes(content) {
  if (typeof content === 'string') return Buffer.from(content);
  if (content instanceof ArrayBuffer) return Buffer.from(content);
  if (ArrayBuffer.isView(content)) return Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  throw new TypeError('an artifact must be a string or bytes');
}

/** @param {string} from @param {string} to */
async function move(from, to) {
  try {
    await fs.rename(from, to);
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EXDEV') throw error;
    await fs.copyFile(from, to);
    await fs.rm(from, { force: true });
  }
}
