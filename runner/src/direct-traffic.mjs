/**
 * Keeps the script's own connections from going around the proxy.
 *
 * Node's clients (fetch, node:http, node:https, node:http2, node:net, node:tls, node:dgram) know no
 * proxy. Using one by mistake would show the machine's own address. So with a proxy, they may
 * connect to the proxy itself, which is how context.request works, and to nothing else. Nor may they
 * look up names, which would show where the script goes.
 */
import dgram from 'node:dgram';
import dns from 'node:dns';
import { syncBuiltinESMExports } from 'node:module';
import net from 'node:net';

const INSTEAD = 'Use context.request or the page instead.';

/** @param {string} proxyServer */
export function refuseDirectTraffic(proxyServer) {
  /** @param {string} name */
  const refusal = (name) => new Error(`${name} does not go through the proxy. ${INSTEAD}`);
  globalThis.fetch = async () => { throw refusal('fetch'); };
  for (const name of ['WebSocket', 'EventSource']) {
    if (!(name in globalThis)) continue;
    /** @type {any} */ (globalThis)[name] = class { constructor() { throw refusal(name); } };
  }

  const proxy = new URL(proxyServer);
  const proxyHost = proxy.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const proxyPort = Number(proxy.port || DEFAULT_PORTS[proxy.protocol]);
  /** Every client connects with this method in the end. */
  const { connect } = net.Socket.prototype;
  /** @this {net.Socket} @param {any[]} parameters @returns {net.Socket} */
  function guarded(...parameters) {
    const socket = this;
    const { path, host = 'localhost', port } = connectOptions(parameters);
    const isProxy = String(host).toLowerCase() === proxyHost && Number(port) === proxyPort;
    if (path || isProxy) return Reflect.apply(/** @type {any} */ (connect), socket, parameters);
    const error = new Error(`A connection of Node's own (node:http, node:net and the like) to ${host}:${port} does not go through the proxy. ${INSTEAD}`);
    // As when a connection fails: later, when whoever makes it listens for errors. What is written
    // until then waits.
    /** @type {any} */ (socket).connecting = true;
    setImmediate(() => socket.destroy(error));
    return socket;
  }
  net.Socket.prototype.connect = guarded;
  for (const method of /** @type {const} */ (['send', 'connect'])) {
    dgram.Socket.prototype[method] = () => { throw refusal('node:dgram'); };
  }
  refuseLookups(proxyHost, () => refusal('node:dns'));
}

/**
 * @param {string} proxyHost whose address is needed to connect to it
 * @param {() => Error} refusal
 */
function refuseLookups(proxyHost, refusal) {
  for (const [module, isPromised] of /** @type {[any, boolean][]} */ ([
    [dns, false], [dns.Resolver.prototype, false], [dns.promises, true], [dns.promises.Resolver.prototype, true],
  ])) {
    for (const name of Object.getOwnPropertyNames(module).filter((key) => /^(lookup|resolve|reverse)/.test(key))) {
      const query = module[name];
      module[name] = function guarded(/** @type {any[]} */ ...parameters) {
        const isNeeded = name === 'lookup' && (net.isIP(parameters[0]) || String(parameters[0]).toLowerCase() === proxyHost);
        if (isNeeded) return Reflect.apply(query, this, parameters);
        const done = parameters.at(-1);
        if (isPromised || typeof done !== 'function') return Promise.reject(refusal());
        return process.nextTick(done, refusal());
      };
    }
  }
  // Scripts may import single functions.
  syncBuiltinESMExports();
}

/** @type {Record<string, number>} */
const DEFAULT_PORTS = { 'http:': 80, 'https:': 443, 'socks4:': 1080, 'socks5:': 1080 };

/**
 * @param {any[]} parameters of net.Socket.connect: options, a path, or a port and perhaps a host;
 *   net.connect has put them into a list
 * @returns {{ path?: string, host?: string, port?: number | string }}
 */
function connectOptions(parameters) {
  const [first, second] = Array.isArray(parameters[0]) ? parameters[0] : parameters;
  if (first !== null && typeof first === 'object') return first;
  if (typeof first === 'string' && !/^\d+$/.test(first)) return { path: first };
  return { port: first, host: typeof second === 'string' ? second : undefined };
}
