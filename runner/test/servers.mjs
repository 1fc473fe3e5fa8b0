/**
 * The servers that tests talk to, all on free loopback ports: a web site, an authenticated HTTP
 * proxy (tinyproxy), a proxy that always refuses, and a port without a listener.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { eventually } from './harness.mjs';

/**
 * @param {import('node:test').TestContext} t
 * @param {(request: http.IncomingMessage, response: http.ServerResponse) => void} handler
 */
export async function startSite(t, handler) {
  /** @type {http.IncomingMessage[]} */
  const requests = [];
  const server = http.createServer((request, response) => {
    requests.push(request);
    if (request.url === '/favicon.ico') return response.writeHead(204).end();
    response.setHeader('content-type', 'text/html; charset=utf-8');
    return handler(request, response);
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', () => resolve(undefined)); });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = /** @type {net.AddressInfo} */ (server.address());
  return { url: `http://127.0.0.1:${port}`, host: `127.0.0.1:${port}`, requests };
}

/** Returns a port that was free a moment ago. @returns {Promise<number>} */
export async function freePort() {
  const server = net.createServer();
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', () => resolve(undefined)); });
  const { port } = /** @type {net.AddressInfo} */ (server.address());
  await new Promise((resolve) => { server.close(resolve); });
  return port;
}

/** @param {import('./harness.mjs').Place} place */
export async function startTinyproxy(place) {
  const port = await freePort();
  const log = path.join(place.root, 'tinyproxy.log');
  const config = path.join(place.root, 'tinyproxy.conf');
  fs.writeFileSync(config, `Port ${port}\nListen 127.0.0.1\nTimeout 60\nLogFile "${log}"\nLogLevel Connect\n`
    + 'MaxClients 50\nBasicAuth proxyuser proxypass1\n');
  const child = spawn('tinyproxy', ['-d', '-c', config], { stdio: 'ignore' });
  const ended = new Promise((resolve) => { child.on('close', resolve); });
  place.closers.push(() => {
    child.kill('SIGTERM');
    return ended;
  });
  let ready = false;
  const probe = () => {
    const socket = net.connect(port, '127.0.0.1', () => {
      ready = true;
      socket.destroy();
    });
    socket.on('error', () => {});
    return ready;
  };
  await eventually(probe, () => 'tinyproxy did not start');
  return { server: `http://127.0.0.1:${port}`, username: 'proxyuser', password: 'proxypass1', log: () => fs.readFileSync(log, 'utf8') };
}

/** A proxy that answers everything with 407. @param {import('node:test').TestContext} t */
export async function startRefusingProxy(t) {
  const headers = { 'Proxy-Authenticate': 'Basic realm="test"', Connection: 'close' };
  const server = http.createServer((_request, response) => response.writeHead(407, headers).end('refused'));
  server.on('connect', (_request, socket) => {
    socket.on('error', () => {});
    socket.end('HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="test"\r\nConnection: close\r\n\r\n');
  });
  await new Promise((resolve) => { server.listen(0, '127.0.0.1', () => resolve(undefined)); });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return { server: `http://127.0.0.1:${/** @type {net.AddressInfo} */ (server.address()).port}` };
}
