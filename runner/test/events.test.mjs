/** Writing events to a reader that is slow or gone. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { createEvents } from '../src/events.mjs';
import { createMask } from '../src/mask.mjs';
import { createPlace } from './harness.mjs';

test('nothing is lost, cut or reordered when a non-blocking pipe is full', async (t) => {
  const place = createPlace(t);
  const fifo = path.join(place.root, 'fifo');
  const copy = path.join(place.root, 'copy');
  execFileSync('mkfifo', [fifo]);
  // Opened for reading and writing, so that the open does not wait for the reader.
  const pipe = fs.openSync(fifo, fs.constants.O_RDWR | fs.constants.O_NONBLOCK);
  const out = fs.openSync(copy, 'w');
  const reader = spawn('head', ['-n', '2000', fifo], { stdio: ['ignore', out, 'inherit'] });
  const ended = new Promise((resolve) => { reader.on('close', resolve); });
  const events = createEvents(pipe, (error) => assert.fail(error));
  // 64 times what a pipe holds.
  for (let n = 0; n < 2000; n += 1) events.emit('log', { n, text: 'é'.repeat(1000) });
  await ended;
  fs.closeSync(pipe);
  fs.closeSync(out);
  const lines = fs.readFileSync(copy, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(lines.map(({ n }) => n), Array.from({ length: 2000 }, (_, n) => n));
  assert.ok(lines.every(({ text }) => text.length === 1000));
});

test('nothing is written after the last event, and a broken pipe is reported once', (t) => {
  const place = createPlace(t);
  const file = path.join(place.root, 'out');
  const fd = fs.openSync(file, 'w');
  const events = createEvents(fd, (error) => assert.fail(error));
  events.emitLast('result', { value: null });
  events.emit('log', { text: 'too late' });
  fs.closeSync(fd);
  assert.equal(fs.readFileSync(file, 'utf8'), '{"v":1,"type":"result","value":null}\n');

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
  const [log, line, result] = fs.readFileSync(file, 'utf8').trimEnd().split('\n').map((text) => JSON.parse(text));
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
