import fs from 'node:fs';
const secrets = Object.entries(process.env).filter(([name]) => name.startsWith('S_')).map(([, value]) => value);
const all = secrets.flatMap(spell);
for (const text of all) { console.log(`out ${text} end`); console.error(`err ${text}`); }
process.stdout.write(all.join('|') + '\n');
const place = process.env.CALLBOARD_ARTIFACTS;
fs.writeFileSync(`${place}/all.txt`, all.join('\n'));
fs.writeFileSync(`${place}/no-extension`, 'x'.repeat(65530) + all.join('\t'));
fs.writeFileSync(`${place}/${secrets[0].replaceAll('/', '%2F').slice(0, 200)}.json`, JSON.stringify(secrets));
if (process.argv[2] === 'fail') {
  process.stderr.write(`${'x'.repeat(960)} ${secrets[0]} ${all.at(-1)}`);
  process.exit(3);
}
const strings = all.map((text) => JSON.stringify(text).replaceAll('/', '\\/'));
const escaped = secrets.map((text) => `"${[...text].map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')}"`);
console.log(`{"list":[${strings}],"escaped":[${escaped.filter((text) => !text.includes('\\ud'))}],"names":{${strings.map((text) => `${text}:1`)}}}`);
