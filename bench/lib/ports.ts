/** Free ports on 127.0.0.1, for servers that cannot choose one themselves and tell it. */
import { once } from 'node:events';
import { type AddressInfo, connect, createServer } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { BenchError } from './bench-error.ts';

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** Resolves when the port accepts connections. Rejects with BenchError `server_failed` after 10 s. */
export async function accepting(port: number): Promise<void> {
  const giveUpAtMs = performance.now() + 10_000;
  while (performance.now() < giveUpAtMs) {
    if (await tryConnect(port)) return;
    await sleep(10);
  }
  throw new BenchError('server_failed', `nothing listens on 127.0.0.1:${port} after 10 s`);
}

function tryConnect(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const end = (accepted: boolean): void => {
      socket.destroy();
      resolve(accepted);
    };
    socket.once('connect', () => end(true));
    socket.once('error', () => end(false));
  });
}
