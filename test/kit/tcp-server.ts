/** What the small servers of the kit share: listening on a free port, and ending with everything that is open. */
import { once } from 'node:events';
import { connect, type Server, type Socket } from 'node:net';

export interface Listening {
  readonly port: number;
  /** Destroys all sockets and stops. Idempotent. */
  readonly close: () => Promise<void>;
}

/** Listens on a free port of 127.0.0.1. */
export async function listenOn(server: Server): Promise<Listening> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the server has no port');
  return {
    port: address.port,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      if (!server.listening) return;
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}

/** Connects to a port of 127.0.0.1, then joins both ways; `onOpen` comes before the first byte. `onFail` when nobody is there. */
export function joinTo(port: number, socket: Socket, onOpen: () => void, onFail: () => void): void {
  const onward = connect(port, '127.0.0.1');
  let isOpen = false;
  onward.once('connect', () => {
    isOpen = true;
    onOpen();
    onward.pipe(socket).pipe(onward);
  });
  onward.on('error', () => (isOpen ? socket.destroy() : onFail()));
  onward.on('close', () => socket.destroy());
  socket.on('close', () => onward.destroy());
}
