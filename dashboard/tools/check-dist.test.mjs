import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { firstLoad, foreignLoads, problems, reachable } from './check-dist.mjs';

/** Checks a build with these files. */
function check(files, budget) {
  const directory = mkdtempSync(join(tmpdir(), 'check-dist-'));
  try {
    for (const [name, text] of Object.entries({ 'index.html': '<p>', 'playground/index.html': '<p>', ...files })) {
      mkdirSync(dirname(join(directory, name)), { recursive: true });
      writeFileSync(join(directory, name), text);
    }
    return { problems: problems(directory, budget), reachable: reachable(directory), first: firstLoad(directory) };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

test('a foreign URL in a loading position is found', () => {
  const bad = {
    'a.html': [
      '<script src="https://cdn.example/x.js"></script>',
      '<script type="module" crossorigin src=//cdn.example/x.js></script>',
      '<link rel="stylesheet" href="http://cdn.example/x.css">',
      '<img alt="" src="https://cdn.example/x.png">',
      '<base href="https://cdn.example/">',
    ],
    'a.css': ['a{background:url(https://cdn.example/x.png)}', '@import "//cdn.example/x.css";', '@font-face{src:url( "http://cdn.example/f")}'],
    'a.js': [
      'import x from"https://esm.example/x"',
      'import("https://esm.example/x")',
      'import"https://esm.example/x"',
      'importScripts("https://cdn.example/w.js")',
      'fetch("https://api.example/")',
      'new Worker(new URL("https://cdn.example/w.js"))',
      'new WebSocket(`wss://api.example/`)',
      'i.src="https://cdn.example/x.png"',
      '//# sourceMappingURL=https://cdn.example/a.js.map',
    ],
  };
  for (const [name, texts] of Object.entries(bad)) {
    for (const text of texts) assert.equal(foreignLoads(name, text).length, 1, `${name}: ${text}`);
  }
});

test('a link to click, a namespace, a data URL and a relative URL are not foreign loads', () => {
  assert.deepEqual(foreignLoads('a.html', '<a href="https://example.org/">x</a><script src="/a.js"></script><link href="a.css">'), []);
  assert.deepEqual(foreignLoads('a.css', 'a{background:url(data:image/svg+xml;base64,AA//BB)}b{src:url(/f.woff2)}'), []);
  assert.deepEqual(foreignLoads('a.js', 'x("http://www.w3.org/2000/svg");throw Error("see https://example.org/e");import("./b.js")'), []);
});

test('index.html must not reach the editor, even through an import', () => {
  const index = '<script type="module" src="/assets/a.js"></script>';
  const good = check({ 'index.html': index, 'assets/a.js': 'import("./b.js")', 'assets/b.js': '1' });
  assert.deepEqual(good.problems, []);
  assert.deepEqual(good.reachable, ['assets/a.js', 'assets/b.js', 'index.html']);
  assert.equal(check({ 'index.html': index, 'assets/a.js': 'import("./b.js")', 'assets/b.js': 'self.MonacoEnvironment={}' }).problems.length, 1);
  assert.equal(check({ 'index.html': '<link rel="modulepreload" href="/playground/x.js">', 'playground/x.js': '1' }).problems.length, 1);
  assert.deepEqual(check({ 'index.html': '<a href="/playground">Playground</a>' }).problems, []);
});

test('source maps and missing pages are found', () => {
  assert.equal(check({ 'assets/a.js.map': '{}' }).problems.length, 1);
});

test('the first load of /jobs has a budget, and leaves out what is loaded later', () => {
  const files = {
    'index.html': '<link rel="stylesheet" href="/assets/a.css"><script type="module" src="/assets/a.js"></script>',
    'assets/a.css': 'a{}',
    'assets/a.js': 'import"./b.js";import("./JobsPage-1.js");import("./JobPage-1.js")',
    'assets/b.js': '1',
    'assets/JobsPage-1.js': 'import{x}from"./c.js"',
    'assets/c.js': '1',
    'assets/JobPage-1.js': '1',
  };
  const wanted = ['assets/JobsPage-1.js', 'assets/a.css', 'assets/a.js', 'assets/b.js', 'assets/c.js', 'index.html'];
  assert.deepEqual(check(files).first, wanted);
  assert.deepEqual(check(files).problems, []);
  assert.match(check(files, 100).problems[0], /^the first load of \/jobs is \d+ bytes/);
});
