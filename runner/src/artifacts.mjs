/**
 * Writes artifacts into the artifacts directory and announces them.
 *
 * A file is complete before its event is sent, and a name is used once per run. What does not fit
 * the bounds is an error to the caller, because the worker would not keep the file. Never writes
 * outside the artifacts directory, and never puts a secret into a file name.
 */
import { readFileSync } from 'node:fs';
import fs from 'node:fs/promises';
import path from 'node:path';
import { BOUNDS, cut } from './bounds.mjs';
import { certain } from './failure.mjs';

/** Longer ends of a name, in characters, are no extension. */
const MAX_EXTENSION_CHARS = 16;
/**
 * What a name may not hold: separators of paths, what Windows refuses, and what cannot be seen.
 * U+200C and U+200D are kept, because Persian and Hindi words and many emoji are spelled with them.
 */
const NOT_IN_NAMES = /(?![\u200c\u200d])[/\\<>:"|?*\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;
/** A content type as RFC 9110 writes it, with parameters or without. */
const CONTENT_TYPE = /^[\w!#$%&'*+.^`|~-]+\/[\w!#$%&'*+.^`|~-]+ *(;[\x20-\x7e]*)?$/;

/**
 * By the end of a name, in lower case. The worker has the same for what programs leave.
 * @type {Record<string, string>}
 */
const CONTENT_TYPES = JSON.parse(readFileSync(new URL('./content-types.json', import.meta.url), 'utf8'));

/**
 * @typedef {object} Artifacts
 * @property {(name: string, content: string | Uint8Array | ArrayBuffer, contentType?: string) =>
 *   Promise<string>} write
 * @property {(name: string, file: string) => Promise<string>} adopt moves a finished recording into
 *   the directory
 * @property {() => Promise<void>} settled resolves when every write begun so far has ended
 */

/**
 * @param {string} directory
 * @param {import('./events.mjs').Events} events
 * @param {import('./mask.mjs').Mask} mask
 * @returns {Artifacts}
 */
export function createArtifacts(directory, events, mask) {
  /** @type {Set<string>} */
  const used = new Set();
  const counts = { artifacts: 0, recordings: 0 };
  let allBytes = 0;
  let parts = 0;
  /** @type {Set<Promise<unknown>>} */
  const pending = new Set();

  /**
   * @param {'artifacts' | 'recordings'} kind
   * @param {unknown} wanted
   * @param {unknown} contentType
   * @param {number} bytes
   * @param {(part: string) => Promise<void>} produce writes the temporary file
   */
  const publish = async (kind, wanted, contentType, bytes, produce) => {
    const name = cleanName(wanted, mask);
    const type = contentType ?? CONTENT_TYPES[path.extname(name).slice(1).toLowerCase()] ?? 'application/octet-stream';
    checkContentType(type);
    checkSize(bytes);
    if (counts[kind] >= BOUNDS[kind]) throw tooMany(kind, name);
    if (allBytes + bytes > BOUNDS.allArtifactsBytes) throw noRoom(name, bytes);
    counts[kind] += 1;
    allBytes += bytes;
    const unique = reserve(name, used);
    const part = path.join(directory, `.part-${parts += 1}`);
    try {
      await fs.mkdir(directory, { recursive: true });
      await produce(part);
      await fs.rename(part, path.join(directory, unique));
    } catch (error) {
      counts[kind] -= 1;
      allBytes -= bytes;
      used.delete(identity(unique));
      throw error;
    }
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
        return publish('artifacts', name, contentType, bytes.length, (part) => fs.writeFile(part, bytes));
      })());
    },
    adopt(name, file) {
      return tracked((async () => {
        const { size } = await fs.stat(file);
        return publish('recordings', name, undefined, size, (part) => move(file, part));
      })());
    },
    async settled() {
      await Promise.allSettled(pending);
    },
  };
}

/**
 * Returns the name as a plain file name. Letters of every script stay as they are.
 * @param {unknown} wanted
 * @param {import('./mask.mjs').Mask} mask
 */
function cleanName(wanted, mask) {
  if (typeof wanted !== 'string' || wanted === '') {
    throw certain(new TypeError('an artifact name must be a non-empty string'));
  }
  const name = mask(wanted.toWellFormed()).replace(NOT_IN_NAMES, '_').replace(/^\.+/, '_');
  const bytes = Buffer.byteLength(name);
  if (bytes > BOUNDS.artifactNameBytes) {
    throw certain(new RangeError(`the artifact name ${cut(name, 40)}... has ${bytes} bytes of UTF-8. `
      + `A name may have at most ${BOUNDS.artifactNameBytes}.`));
  }
  return name;
}

/** @param {unknown} type */
function checkContentType(type) {
  if (typeof type !== 'string' || !CONTENT_TYPE.test(type)) {
    throw certain(new TypeError('the content type of an artifact must be text like text/csv or text/plain; charset=utf-8'));
  }
  if (type.length > BOUNDS.contentTypeBytes) {
    throw certain(new RangeError(`the content type of an artifact has ${type.length} bytes. `
      + `It may have at most ${BOUNDS.contentTypeBytes}.`));
  }
}

/** @param {number} bytes */
function checkSize(bytes) {
  if (bytes <= BOUNDS.artifactBytes) return;
  throw certain(new RangeError(`an artifact of ${bytes} bytes is too large. It may have at most ${BOUNDS.artifactBytes}.`));
}

/** @param {string} name @param {number} bytes */
function noRoom(name, bytes) {
  return certain(new RangeError(`the artifact ${name} of ${bytes} bytes was not kept: the files of a run may have at most `
    + `${BOUNDS.allArtifactsBytes} bytes in all`));
}

/** @param {'artifacts' | 'recordings'} kind @param {string} name */
function tooMany(kind, name) {
  const what = kind === 'artifacts' ? 'a script' : 'the recordings of a run';
  return certain(new RangeError(`the artifact ${name} was not kept: ${what} may keep at most ${BOUNDS[kind]} files`));
}

/**
 * Returns the name, with a number if another artifact of the run has it.
 * @param {string} wanted
 * @param {Set<string>} used
 */
function reserve(wanted, used) {
  const end = path.extname(wanted);
  const extension = end.length <= MAX_EXTENSION_CHARS ? end : '';
  const stem = wanted.slice(0, wanted.length - extension.length);
  let name = wanted;
  for (let n = 2; used.has(identity(name)); n += 1) {
    const rest = `-${n}${extension}`;
    const room = BOUNDS.artifactNameBytes - Buffer.byteLength(rest);
    name = `${cut(stem, room, (character) => Buffer.byteLength(character))}${rest}`;
  }
  used.add(identity(name));
  return name;
}

/** Some file systems ignore case, or take two spellings of a letter for one. @param {string} name */
function identity(name) {
  return name.normalize('NFC').toLowerCase();
}

/** @param {string | Uint8Array | ArrayBuffer} content */
function toBytes(content) {
  if (typeof content === 'string') return Buffer.from(content);
  if (content instanceof ArrayBuffer) return Buffer.from(content);
  if (ArrayBuffer.isView(content)) return Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  throw certain(new TypeError('an artifact must be a string or bytes'));
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
