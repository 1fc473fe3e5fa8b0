/**
 * Replaces the run's secrets with *** in everything that leaves the process.
 *
 * The worker redacts again, so this is the first of two nets. Ignores secrets so short that masking
 * them would shred ordinary text.
 */

/** Shorter secrets, in characters, are not masked. */
const MIN_SECRET_CHARS = 4;
/** The same for one line of a secret that has several lines. */
const MIN_LINE_CHARS = 8;

/**
 * @typedef {((text: string) => string) & { heldBack: (text: string) => number }} Mask `heldBack`
 *   returns how many of the last characters may be the beginning of a secret, of which the rest has
 *   not come yet
 */

/** Masks nothing. @type {Mask} */
export const noMask = Object.assign((/** @type {string} */ text) => text, { heldBack: () => 0 });

/**
 * @param {Iterable<unknown>} secrets
 * @returns {Mask}
 */
export function createMask(secrets) {
  const forms = new Set();
  for (const secret of secrets) {
    if (typeof secret !== 'string' || secret.length < MIN_SECRET_CHARS) continue;
    forms.add(secret);
    // Logs are written line by line, and so is a key file.
    for (const line of secret.split(/\r?\n/)) if (line.length >= MIN_LINE_CHARS) forms.add(line);
    // The two encodings that a page or a library applies by itself, in a URL or a header.
    forms.add(encodeURIComponent(secret));
    forms.add(Buffer.from(secret).toString('base64'));
  }
  if (forms.size === 0) return noMask;
  // Longest first, so that a secret which contains another is masked whole.
  const longestFirst = [...forms].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(longestFirst.map((form) => form.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|'), 'g');
  const mask = (/** @type {string} */ text) => text.replace(pattern, '***');
  return Object.assign(mask, { heldBack: (/** @type {string} */ text) => Math.max(...longestFirst.map((form) => begun(form, text))) });
}

/** Returns how many of the last characters of `text` begin `form`, without being all of it. @param {string} form @param {string} text */
function begun(form, text) {
  let length = Math.min(form.length - 1, text.length);
  while (length > 0 && !text.endsWith(form.slice(0, length))) length -= 1;
  return length;
}
