// Whether what is shown is current: the state of the socket, and when the server was last heard.
import { createStore } from '../ui/store';

export type SocketState = 'off' | 'connecting' | 'live' | 'reconnecting' | 'offline';

export interface Connection {
  socket: SocketState;
  /** When the server last answered or sent something, in milliseconds. */
  heardAt: number | null;
  /** Why the newest request was not answered. Null when it was. */
  problem: string | null;
}

export const connection = createStore<Connection>({ socket: 'off', heardAt: null, problem: null });

export function setSocket(socket: SocketState): void {
  connection.set({ ...connection.get(), socket });
}

export function heard(): void {
  connection.set({ ...connection.get(), heardAt: Date.now(), problem: null });
}

export function notHeard(problem: string): void {
  connection.set({ ...connection.get(), problem });
}
