/**
 * Knows what the script's function has begun besides calls of the browser and of fetch: timers,
 * connections, programs, files. Node would wait for them before it ends, and the run does not.
 *
 * Looks only at what the script begins itself, never at what Playwright or the runner begins for
 * it.
 */
import { createHook } from 'node:async_hooks';
import { placeInScript } from './failure.mjs';

/** What people call the resources of Node. The rest ends by itself, or belongs to one of these. */
const KINDS = /** @type {Record<string, string>} */ ({
  Timeout: 'a timer',
  PROCESSWRAP: 'a program',
  WORKER: 'a thread',
  TCPWRAP: 'a connection',
  TLSWRAP: 'a connection',
  UDPWRAP: 'a socket',
  TCPSERVERWRAP: 'a server',
  GETADDRINFOREQWRAP: 'a query of DNS',
  QUERYWRAP: 'a query of DNS',
  FSREQCALLBACK: 'work on a file',
  FSREQPROMISE: 'work on a file',
  FSEVENTWRAP: 'a watch of files',
  STATWATCHER: 'a watch of files',
});
/** Kinds that last until they are closed, as an interval does. */
const ENDLESS = ['a server', 'a socket', 'a thread', 'a watch of files'];
/** Most resources that are told. */
const MAX_TOLD = 3;
/** Dead resources are forgotten when there are more than this, and more of them than of the others. */
const MIN_KNOWN = 1000;
/** Frames kept to find the script's. Node has up to a dozen between it and a connection. */
const FRAMES = 40;

/**
 * @typedef {object} Resource
 * @property {string} kind
 * @property {Error} begun when it was begun; its stack is written only if it is asked for
 * @property {WeakRef<any>} resource
 */

/**
 * @param {string} scriptUrl
 * @param {() => boolean} isOfMain whether the script's function runs
 * @returns {{ told: () => string, willEnd: () => boolean }} told: what is still under way, for
 *   people; empty if nothing. willEnd: whether something is under way that ends by itself
 */
export function watchResources(scriptUrl, isOfMain) {
  /** @type {Resource[]} */
  let known = [];
  let room = MIN_KNOWN;
  const live = () => {
    const requests = new Set(/** @type {any} */ (process)._getActiveRequests());
    return known.filter(({ resource }) => isLive(resource.deref(), requests));
  };
  createHook({
    init(_id, type, _trigger, resource) {
      if (!(type in KINDS) || !isOfMain()) return;
      const limit = Error.stackTraceLimit;
      Error.stackTraceLimit = FRAMES;
      known.push({ kind: KINDS[type], begun: new Error(), resource: new WeakRef(resource) });
      Error.stackTraceLimit = limit;
      if (known.length <= room) return;
      known = live();
      room = Math.max(MIN_KNOWN, 2 * known.length);
    },
  }).enable();
  return {
    willEnd: () => live().some(({ kind, resource }) => !ENDLESS.includes(kind) && !resource.deref()?._repeat),
    told() {
      // One program has several pipes, and one request a name to look up and a connection.
      const places = new Map();
      for (const { kind, begun } of live()) {
        // The innermost frame outside of Node and of this file says who began it.
        const frame = String(begun.stack).split('\n').slice(2).find((line) => !/\(node:|at node:|<anonymous>\)$/.test(line));
        const place = placeInScript(frame ?? '', scriptUrl);
        if (place !== null && !places.has(place)) places.set(place, `${kind} at ${place}`);
      }
      const told = [...places.values()];
      const more = told.length - MAX_TOLD;
      return told.slice(0, MAX_TOLD).join('; ') + (more > 0 ? `; and ${more} more` : '');
    },
  };
}

/** @param {any} resource @param {Set<unknown>} requests those that Node waits for */
function isLive(resource, requests) {
  if (resource === undefined) return false;
  // A handle or a timer knows whether Node waits for it.
  return typeof resource.hasRef === 'function' ? resource.hasRef() && !resource._destroyed : requests.has(resource);
}
