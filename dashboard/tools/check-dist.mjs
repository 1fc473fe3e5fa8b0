// Checks a finished build and fails if
//  - a file would load something from another origin (a script, style, font, image, worker, import,
//    source map, ...), or
//  - anything that index.html loads, directly or through imports, is part of GraphiQL or Monaco, or
//  - the first load of /jobs is larger than its budget.
// Then prints the sizes. Usage: node tools/check-dist.mjs [DIRECTORY], by default dist.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, extname, join, posix, relative, resolve, sep } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { gzipSync } from 'node:zlib';

/** A URL of another origin, with a network scheme or without a scheme. Not data or blob URLs. */
const FOREIGN = String.raw`(?:(?:https?|wss?|ftp):)?//[^\s"'\x60)>]+`;

/** Where a URL makes a browser load something, by kind of file. Links to click do not count. */
const LOADING = {
  '.html': [
    new RegExp(String.raw`<(?:script|img|iframe|frame|source|video|audio|track|embed|input)\b[^>]*?\s(?:src|srcset|poster)\s*=\s*["']?\s*(${FOREIGN})`, 'gi'),
    new RegExp(String.raw`<(?:link|base|use|image)\b[^>]*?\s(?:href|xlink:href)\s*=\s*["']?\s*(${FOREIGN})`, 'gi'),
    new RegExp(String.raw`<object\b[^>]*?\sdata\s*=\s*["']?\s*(${FOREIGN})`, 'gi'),
    new RegExp(String.raw`<form\b[^>]*?\saction\s*=\s*["']?\s*(${FOREIGN})`, 'gi'),
    new RegExp(String.raw`<meta\b[^>]*?http-equiv\s*=\s*["']?refresh[^>]*?(${FOREIGN})`, 'gi'),
  ],
  '.css': [
    new RegExp(String.raw`url\(\s*["']?\s*(${FOREIGN})`, 'gi'),
    new RegExp(String.raw`@import\s+["']\s*(${FOREIGN})`, 'gi'),
    new RegExp(String.raw`sourceMappingURL=\s*(${FOREIGN})`, 'gi'),
  ],
  '.js': [
    new RegExp(String.raw`\b(?:from|import)\s*\(?\s*["'\x60](${FOREIGN})`, 'g'),
    new RegExp(String.raw`\bimportScripts\(\s*["'\x60](${FOREIGN})`, 'g'),
    new RegExp(String.raw`\b(?:fetch|sendBeacon)\(\s*["'\x60](${FOREIGN})`, 'g'),
    new RegExp(String.raw`\bnew\s+(?:Shared)?(?:Worker|WebSocket|EventSource)\(\s*(?:new\s+URL\(\s*)?["'\x60](${FOREIGN})`, 'g'),
    new RegExp(String.raw`\.open\(\s*["'\x60](?:GET|POST)["'\x60]\s*,\s*["'\x60](${FOREIGN})`, 'g'),
    new RegExp(String.raw`\.(?:src|srcset|action)\s*=\s*["'\x60](${FOREIGN})`, 'g'),
    new RegExp(String.raw`sourceMappingURL=\s*(${FOREIGN})`, 'g'),
  ],
};
LOADING['.mjs'] = LOADING['.js'];
LOADING['.svg'] = [...LOADING['.html'], ...LOADING['.css']];

const EDITOR = /monaco-editor|MonacoEnvironment|graphiql/i;

/** The most that the first load of /jobs may weigh: its page, scripts and styles, as gzip. */
const BUDGET = 220_000;
/** The chunk of the page of jobs. */
const JOBS = /^assets\/JobsPage-[^/]+\.js$/;

function filesUnder(directory) {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.(?:gz|br)$/.test(entry.name))
    .map((entry) => relative(directory, join(entry.parentPath ?? entry.path, entry.name)).split(sep).join('/'))
    .sort();
}

/** Returns the foreign URLs that this text would load. */
export function foreignLoads(name, text) {
  const patterns = LOADING[extname(name)] ?? [];
  return [...new Set(patterns.flatMap((pattern) => [...text.matchAll(pattern)].map((match) => match[1])))];
}

/** Returns the paths, relative to the build, that a file loads from its own origin. */
function localLoads(name, text) {
  const found = [];
  if (name.endsWith('.html')) {
    for (const [, url] of text.matchAll(/<(?:script|link|img)\b[^>]*?\s(?:src|href)\s*=\s*["']([^"']+)["']/gi)) found.push(url);
  } else if (name.endsWith('.js')) {
    for (const [, url] of text.matchAll(/\b(?:from|import)\s*\(?\s*["'`](\.{1,2}\/[^"'`]+|\/[^"'`]+)["'`]/g)) found.push(url);
    for (const [, url] of text.matchAll(/["'`](\/?assets\/[^"'`]+\.(?:js|css))["'`]/g)) found.push(`/${url.replace(/^\//, '')}`);
  }
  return found.map((url) => {
    const path = url.split(/[?#]/)[0];
    return path.startsWith('/') ? path.slice(1) : posix.join(posix.dirname(name), path);
  });
}

/** Returns everything that opening index.html can load. */
export function reachable(directory) {
  const seen = new Set();
  const queue = ['index.html'];
  while (queue.length > 0) {
    const name = queue.pop();
    if (seen.has(name) || !existsSync(join(directory, name))) continue;
    seen.add(name);
    if (/\.(html|js)$/.test(name)) queue.push(...localLoads(name, readFileSync(join(directory, name), 'utf8')));
  }
  return [...seen].sort();
}

/** Returns what a script imports at once, without what it loads only when it is needed. */
function imports(name, text) {
  const found = [...text.matchAll(/\b(?:from|import)\s*["'`](\.{1,2}\/[^"'`]+)["'`]/g)].map(([, path]) => path);
  return found.map((path) => posix.join(posix.dirname(name), path));
}

/** Returns the files of the first load of /jobs: index.html, the shell's chunks and the page's. */
export function firstLoad(directory) {
  const seen = new Set();
  const queue = ['index.html', ...filesUnder(directory).filter((name) => JOBS.test(name))];
  while (queue.length > 0) {
    const name = queue.pop();
    if (seen.has(name) || !existsSync(join(directory, name))) continue;
    seen.add(name);
    const text = readFileSync(join(directory, name), 'utf8');
    if (name.endsWith('.html')) queue.push(...localLoads(name, text));
    else if (name.endsWith('.js')) queue.push(...imports(name, text));
  }
  return [...seen].filter((name) => /\.(?:html|js|css)$/.test(name)).sort();
}

const gzipped = (file) => gzipSync(readFileSync(file), { level: 9 }).length;
const firstLoadSize = (directory) => firstLoad(directory).reduce((sum, name) => sum + gzipped(join(directory, name)), 0);

export function problems(directory, budget = BUDGET) {
  const found = [];
  for (const name of filesUnder(directory)) {
    if (name.endsWith('.map')) found.push(`${name}: source maps do not belong in the build`);
    if (!(extname(name) in LOADING)) continue;
    for (const url of foreignLoads(name, readFileSync(join(directory, name), 'utf8'))) {
      found.push(`${name}: loads from another origin: ${url}`);
    }
  }
  for (const name of reachable(directory)) {
    const isEditor = name.startsWith('playground/') || (/\.(js|css)$/.test(name) && EDITOR.test(readFileSync(join(directory, name), 'utf8')));
    if (isEditor) found.push(`index.html reaches ${name}, which belongs to the playground`);
  }
  const weight = firstLoadSize(directory);
  if (weight > budget) found.push(`the first load of /jobs is ${weight} bytes as gzip, and may be ${budget}`);
  for (const page of ['index.html', 'playground/index.html']) {
    if (!existsSync(join(directory, page))) found.push(`${page}: missing`);
  }
  return found;
}

function printSizes(directory) {
  const start = new Set(reachable(directory));
  const sum = { start: [0, 0, 0], playground: [0, 0, 0], all: [0, 0, 0] };
  for (const name of filesUnder(directory)) {
    const bytes = readFileSync(join(directory, name));
    const packed = gzipSync(bytes, { level: 9 }).length;
    const groups = ['all', start.has(name) && 'start', name.startsWith('playground/') && 'playground'].filter(Boolean);
    for (const group of groups) sum[group] = sum[group].map((value, i) => value + [1, bytes.length, packed][i]);
  }
  const sizes = firstLoad(directory).map((name) => [1, readFileSync(join(directory, name)).length, gzipped(join(directory, name))]);
  sum.jobs = sizes.reduce((total, size) => total.map((value, i) => value + size[i]), [0, 0, 0]);
  const kilo = (bytes) => `${(bytes / 1000).toFixed(1)} kB`.padStart(11);
  for (const [group, title] of [['jobs', 'first load of /jobs'], ['start', 'all that index.html can load'], ['playground', 'playground'], ['all', 'everything']]) {
    const [count, raw, packed] = sum[group];
    console.log(`${title.padEnd(30)}${String(count).padStart(4)} files${kilo(raw)}${kilo(packed)} gzip`);
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const directory = resolve(process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), '..', 'dist'));
  if (!existsSync(directory)) {
    console.error(`${directory} does not exist. Run "npm run build" first.`);
    process.exit(1);
  }
  const found = problems(directory);
  found.forEach((problem) => console.error(problem));
  printSizes(directory);
  process.exitCode = found.length > 0 ? 1 : 0;
}
