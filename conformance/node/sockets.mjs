// graphql-transport-ws, through the graphql-ws client and by hand.
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';
import { authorization, socketUrl } from './callboard.mjs';

/** A graphql-ws client. Node 20 has no WebSocket of its own. */
export function connect(options = {}) {
  return createClient({ url: socketUrl, webSocketImpl: WebSocket, connectionParams: { authorization }, ...options });
}

/** Returns everything that a subscription sends until it completes. */
export async function collect(client, payload) {
  const results = [];
  for await (const result of client.iterate(payload)) {
    if (result.errors) throw new Error(JSON.stringify(result.errors));
    results.push(result.data);
  }
  return results;
}

/**
 * Reads a stream on its own socket until it completes, or until `isEnough` of the results. Then the
 * socket is torn down without notice to the server, and later messages are ignored.
 */
export async function read(query, variables, isEnough = () => false) {
  let socket;
  const client = connect({ retryAttempts: 0, on: { opened: (opened) => (socket = opened) } });
  const results = [];
  let isKilled = false;
  const isComplete = await new Promise((resolve, reject) => {
    client.subscribe({ query, variables }, {
      next({ data, errors }) {
        if (errors) return reject(new Error(JSON.stringify(errors)));
        if (isKilled) return;
        results.push(Object.values(data)[0]);
        isKilled = isEnough(results);
        if (isKilled) socket.terminate();
      },
      error: (error) => (isKilled ? resolve(false) : reject(error instanceof Error ? error : new Error(JSON.stringify(error)))),
      complete: () => resolve(!isKilled),
    });
  });
  return { results, isComplete };
}

/** A bare socket that sends messages verbatim and hands out received messages in order. */
export class Bare {
  messages = [];
  waiting = [];

  constructor(protocol = 'graphql-transport-ws') {
    this.socket = new WebSocket(socketUrl, protocol);
    this.socket.on('message', (data) => this.arrive(JSON.parse(data)));
    this.closed = new Promise((resolve) => this.socket.on('close', (code, reason) => resolve({ code, reason: String(reason) })));
    this.opened = new Promise((resolve, reject) => this.socket.on('open', resolve).on('error', reject));
  }

/** Returns an open and acknowledged socket. */
  static async ready() {
    const bare = new Bare();
    await bare.opened;
    bare.send({ type: 'connection_init', payload: { authorization } });
    await bare.next('connection_ack');
    return bare;
  }

  arrive(message) {
    const index = this.waiting.findIndex(({ fits }) => fits(message));
    if (index >= 0) this.waiting.splice(index, 1)[0].resolve(message);
    else this.messages.push(message);
  }

/**
 * Takes the first message of this type (and id). Rejects if the socket closes before it arrives.
 */
  next(type, id) {
    const fits = (message) => message.type === type && (id === undefined || message.id === id);
    const index = this.messages.findIndex(fits);
    if (index >= 0) return Promise.resolve(this.messages.splice(index, 1)[0]);
    return new Promise((resolve, reject) => {
      this.waiting.push({ fits, resolve });
      this.closed.then(({ code, reason }) => reject(new Error(`closed ${code} ${reason} before a ${type} arrived`)));
    });
  }

  send(message) {
    this.socket.send(typeof message === 'string' ? message : JSON.stringify(message));
  }

  subscribe(id, query, variables) {
    this.send({ id, type: 'subscribe', payload: { query, variables } });
  }

  close() {
    this.socket.terminate();
  }
}
