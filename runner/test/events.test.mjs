/** Writing events to a reader that is slow or gone. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { BOUNDS } from '../src/bounds.mjs';
import { createEvents } from '../src/events.mjs';
import { createMask } from '../src/mask.mjs';
import { createPlace } from './harness.mjs';

/** The events in a file. @param {string} file @returns {any[]} */
function written(file) {
  return fs.readFileSync(file, 'utf8').split('\n').filter((line) => line !== '').map((line) => JSON.parse(line));
}

test('nothing is lost, cut or reordered when a non-blocking pipe is full', async (t) => {
  const place = createPlace(t);
  const fifo = path.join(place.root, 'fifo');
  const copy = path.join(place.root, 'copy');
  execFileSync('mkfifo', [fifo]);
  // Opened for reading and writing, so that the open does not wait for the reader.
  const pipe = fs.openSync(fifo, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
  const out = fs.openSync(copy, 'w');
  const reader = spawn('head', ['-n', '4000', fifo], { stdio: ['ignore', out, 'inherit'] });
  const ended = new Promise((resolve) => { reader.on('close', resolve); });
  const events = createEvents(pipe, (error) => assert.fail(error));
  // 64 times what a pipe holds.
  for (let n = 0; n < 2000; n += 1) events.emit('log', { n, text: 'é'.repeat(1000) });
  await ended;
  fs.closeSync(pipe);
  fs.closeSync(out);
  const lines = written(copy);
  assert.deepEqual(lines.map(({ n }) => n), Array.from({ length: 2000 }, (_, n) => n));
  assert.ok(lines.every(({ text }) => text.length === 1000));
});

test('nothing is written after the last event, and a broken pipe is reported once', (t) => {
  const place = createPlace(t);
  const file = path.join(place.root, 'out');
  const fd = fs.openSync(file, 'w');
  const events = createEvents(fd, (error) => assert.fail(error));
  events.end({ type: 'result', fields: { value: null } });
  events.emit('log', { text: 'too late' });
  fs.closeSync(fd);
  assert.equal(fs.readFileSync(file, 'utf8'), '\n{"v":1,"type":"result","value":null}\n');

  let broken = 0;
  const nowhere = createEvents(fs.openSync(file, 'r'), () => { broken += 1; });
  nowhere.emit('log', { text: 'x' });
  nowhere.emit('log', { text: 'x' });
  assert.equal(broken, 1);
});

test('text is cut after masking, and each line of a secret is masked', (t) => {
  const place = createPlace(t);
  const file = path.join(place.root, 'out');
  const events = createEvents(fs.openSync(file, 'w'), (error) => assert.fail(error));
  events.maskWith(createMask(['on-the-border', 'first line of a key\nsecond line of it\n}']));
  events.emit('log', { text: `${'x'.repeat(16_380)}on-the-border` });
  events.emit('log', { text: 'prints second line of it and }' });
  events.emit('result', { value: 'y'.repeat(20_000) });
  const [log, line, result] = written(file);
  assert.equal(log.text, `${'x'.repeat(16_380)}***`);
  assert.equal(line.text, 'prints *** and }');
  assert.equal(result.value.length, 20_000);
});

test('masking prefers the longest secret, and leaves short ones and keys alone', (t) => {
  const place = createPlace(t);
  const file = path.join(place.root, 'out');
  const events = createEvents(fs.openSync(file, 'w'), (error) => assert.fail(error));
  events.maskWith(createMask(['pass', 'password.*', 'abc', '', null, 7]));
  events.emit('log', { text: 'password.* pass passwordXX abc', pass: [{ pass: 'pass' }, 1, null, true] });
  assert.deepEqual(JSON.parse(fs.readFileSync(file, 'utf8')), {
    v: 1, type: 'log', text: '*** *** ***wordXX abc', pass: [{ pass: '***' }, 1, null, true],
  });
});

/** Halves of surrogate pairs, alone, in the wrong order, and beside whole ones. */
const ILL_FORMED = ['\ud83d', '\udE00', 'ab\ud83d', '\ude00\ud83d', 'a\ud83d\u{1F600}', '\udc00b\ud800'];

test('whatever is handed over, every string and key that leaves is well-formed', (t) => {
  const file = path.join(createPlace(t).root, 'out');
  const events = createEvents(fs.openSync(file, 'w'), (error) => assert.fail(error));
  for (const text of ILL_FORMED) {
    for (const type of ['log', 'console', 'pageerror', 'warning', 'step', 'progress', 'artifact', 'limits', 'failure', 'result']) {
      events.emit(type, { text, list: [text, { [text]: text }], [text]: text });
    }
  }
  const output = fs.readFileSync(file, 'utf8');
  assert.doesNotMatch(output, /\\u[dD][89a-fA-F]/, 'no escape of half a pair');
  for (const event of written(file)) {
    assert.ok(JSON.stringify(event).isWellFormed());
    assert.ok(event.text.includes('\u{FFFD}'), event.text);
  }
});

test('keys that differ only in what is ill-formed stay apart', (t) => {
  const file = path.join(createPlace(t).root, 'out');
  const events = createEvents(fs.openSync(file, 'w'), (error) => assert.fail(error));
  events.emit('result', { value: { '\ud83d': 1, '\ud83e': 2, '\u{FFFD}': 3, a: 4, '\0': 5 } });
  const [{ value }] = written(file);
  assert.deepEqual(Object.values(value).sort(), [1, 2, 3, 4, 5]);
  assert.equal(value['\u{FFFD}'], 3);
});

test('a text is cut between characters at its bound, whatever is in it', (t) => {
  const file = path.join(createPlace(t).root, 'out');
  const { textCharacters, progressCharacters, failureMessageBytes } = BOUNDS;
  for (const character of ['a', 'é', '報', '\u{1F600}']) {
    for (const shift of ['', 'x', 'xx', 'xxx']) {
      for (const [type, key, max, size] of /** @type {[string, string, number, (text: string) => number][]} */ ([
        ['log', 'text', textCharacters, (text) => [...text].length],
        ['progress', 'message', progressCharacters, (text) => [...text].length],
        ['failure', 'message', failureMessageBytes, (text) => Buffer.byteLength(text)],
      ])) {
        for (const extra of [-1, 0, 1, 5000]) {
          fs.writeFileSync(file, '');
          const text = shift + character.repeat(Math.floor((max - size(shift)) / size(character)) + extra);
          createEvents(fs.openSync(file, 'w'), (error) => assert.fail(error)).emit(type, { [key]: text });
          const sent = written(file)[0][key];
          assert.ok(size(sent) <= max && sent.isWellFormed() && !sent.includes('\u{FFFD}'));
          if (size(text) <= max) assert.equal(sent, text);
          else {
            const [, kept, more] = /^(.*)\.\.\. \((\d+) more characters\)$/s.exec(sent) ?? assert.fail(sent);
            assert.ok(text.startsWith(kept) && size(sent) > max - 50);
            assert.equal([...kept].length + Number(more), [...text].length);
          }
        }
      }
    }
  }
});
