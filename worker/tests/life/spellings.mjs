(text) => {
  const all = Buffer.from(text);
  const hex = (byte) => byte.toString(16).padStart(2, '0');
  const characters = (each) => [...text].map(each).join('');
  const bytes = (each) => [...all].map(each).join('');
  const units = (c) => [...c.split('')].map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`).join('');
  const json = JSON.stringify(text).slice(1, -1);
  const base64 = (before, after) => Buffer.concat([Buffer.alloc(before, 120), all, Buffer.alloc(after, 121)]).toString('base64');
  const wrapped = (long, width, end) => long.match(new RegExp(`.{1,${width}}`, 'g')).join(end);
  const ways = [(c) => c, units, (c) => `&#${c.codePointAt(0)};`, (c) => `&#x${c.codePointAt(0).toString(16)};`,
    (c) => [...Buffer.from(c)].map((byte) => `%${hex(byte)}`).join('')];
  const html = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
  return [
    text, text.toLowerCase(), text.toUpperCase(),
    json, json.replaceAll('/', '\\/'), characters(units), characters(units).replace(/u[0-9a-f]{4}/g, (unit) => `u${unit.slice(1).toUpperCase()}`),
    JSON.stringify(json).slice(1, -1),
    encodeURIComponent(text), encodeURI(text), bytes((byte) => `%${hex(byte)}`), bytes((byte) => `%${hex(byte).toUpperCase()}`),
    bytes((byte) => `%25${hex(byte)}`), encodeURIComponent(encodeURIComponent(text)), new URLSearchParams({ q: text }).toString().slice(2),
    characters(ways[2]), characters(ways[3]), text.replace(/[&<>"']/g, (c) => html[c]),
    base64(0, 0), base64(1, 1), base64(2, 5), all.toString('base64url'), wrapped(base64(70, 3), 76, '\n'), wrapped(base64(41, 3), 64, '\r\n'),
    Buffer.from(`user:${text}`).toString('base64'),
    all.toString('hex'), all.toString('hex').toUpperCase(),
    `'${text.replaceAll("'", "'\\''")}'`, `'${text.replaceAll("'", `'"'"'`)}'`, characters((c) => (/[A-Za-z0-9\n\r]/.test(c) || c > '~' ? c : `\\${c}`)),
    `"${text.replace(/["$`\\]/g, '\\$&')}"`, bytes((byte) => `\\x${hex(byte)}`), bytes((byte) => `\\${byte.toString(8).padStart(3, '0')}`),
    // What wraps, colours, cuts and quotes again.
    JSON.stringify(JSON.stringify(json)).slice(1, -1),
    characters((c) => `\\x{${c.codePointAt(0).toString(16)}}`), bytes((byte) => `\\0${byte.toString(8).padStart(3, '0')}`),
    bytes((byte) => `\\${String(byte).padStart(3, '0')}`), characters((c) => `&#${c.codePointAt(0)}`), bytes((byte) => `=${hex(byte).toUpperCase()}`),
    wrapped(base64(0, 0), 4, '\n'), wrapped(base64(0, 0), 5, '\r\n'), wrapped(base64(1, 0), 6, '=\n'),
    wrapped(base64(0, 1), 7, "' +\n  '"), wrapped(base64(0, 1), 7, '\x1b[m\x1b[01;31m\x1b[K'), wrapped(base64(0, 0), 9, "'\n b'"),
    `'${text.split(' ').join(" '\n '")}'`, text.split(' ').join('\n    '), text.trim(),
    text.replaceAll("'", `'"'"'`).replaceAll("'", `'"'"'`), text.replaceAll("'", "'\\''").replaceAll("'", "'\\''"),
    `<Buffer ${[...all].map(hex).join(' ')}>`, `<Buffer ${[...all].slice(0, 12).map(hex).join(' ')} ... 9 more bytes>`,
    `"${text.slice(0, 10)}"... is not valid JSON`, JSON.stringify(`"${text.slice(0, 10)}"... is not`), `'${text.slice(0, 12)}' (truncated)`,
    [...text].map((c, index) => ways[/[\\&%+'"]/.test(c) ? 1 : index % ways.length](c)).join(''),
  ];
}
