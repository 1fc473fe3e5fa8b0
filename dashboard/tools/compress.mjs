// Writes a .gz and a .br beside each file of the build that is larger than 1 kB and can be
// compressed. Usage: node tools/compress.mjs [DIRECTORY], by default dist.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const TEXT = ['.html', '.js', '.mjs', '.css', '.svg', '.json', '.ttf', '.wasm'];
const SMALL = 1000;

const directory = resolve(process.argv[2] ?? join(dirname(fileURLToPath(import.meta.url)), '..', 'dist'));
let count = 0;
for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
  if (!entry.isFile() || !TEXT.includes(extname(entry.name))) continue;
  const file = join(entry.parentPath ?? entry.path, entry.name);
  const bytes = readFileSync(file);
  if (bytes.length <= SMALL) continue;
  // The highest quality takes half a minute for the playground's editor, and saves 3 % of it.
  const quality = bytes.length > 500_000 ? 9 : 11;
  writeFileSync(`${file}.gz`, gzipSync(bytes, { level: 9 }));
  writeFileSync(`${file}.br`, brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: quality } }));
  count += 1;
}
console.log(`compressed ${count} files`);
