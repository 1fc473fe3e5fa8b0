/**
 * Replaces the run's secrets by *** in whatever is about to leave the process.
 *
 * Called by events for every event, and by artifacts for names. The worker redacts again: this is the first of two
 * nets. It must never touch the keys of an object (a result must keep its shape), nor be given a secret so short
 * that masking it would shred ordinary text.
 */

/** Secrets shorter than this, in characters, are left alone. */
const MIN_SECRET_CHARS = 4;
/** The same for one line of a secret that has several. */
const MIN_LINE_CHARS = 8;

/**
 * @typedef {(text: string) => string} Mask
 */

/**
 * @param {Iterable<unknown>} secrets
 * @returns {Mask}
 */
export function createMask(secrets) {
  const forms = new Set();
  for (const secret of secrets) {
    if (typeof secret !== 'string' || secret.length < MIN_SECRET_CHARS) continue;
    forms.add(secret);
    // Logs are made of lines, and so is a key file.
    for (const line of secret.split(/\r?\n/)) if (line.length >= MIN_LINE_CHARS) forms.add(line);
    // The two disguises that a page or a library puts on by itself, in an address or a header.
    forms.add(encodeURIComponent(secret));
    forms.add(Buffer.from(secret).toString('base64'));
  }
  if (forms.size === 0) return (text) => text;
  // Longest first, so that a secret which contains another is masked whole.
  const longestFirst = [...forms].sort((a, b) => b.length - a.length);
  const pattern = new RegExp(longestFirst.map((form) => form.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|'), 'g');
  return (text) => text.replace(pattern, '***');
}

/**
 * A copy of a JSON value with every string masked and every key as it was.
 * @param {any} value
 * @param {Mask} mask
 * @returns {any}
 */
export function maskDeep(value, mask) {
  if (typeof value === 'string') return mask(value);
  if (Array.isArray(value)) return value.map((item) => maskDeep(item, mask));
  if (value === null || typeof value !== 'object') return value;
  const copy = Object.create(null);
  for (const key of Object.keys(value)) copy[key] = maskDeep(value[key], mask);
  return copy;
}
