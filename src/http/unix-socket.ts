/** A server on a Unix socket: for who may write to the socket file, which a dead process may have left behind. */
import { chmod, lstat, rm } from 'node:fs/promises';
import { connect, type Server } from 'node:net';
import { errnoOf } from '../lib/errors.ts';
import { ListenError } from './listen-target.ts';

/** Owner and group may connect. */
const socketMode = 0o660;
/** As long as the kernel lets a name be, everywhere. */
const maxPathBytes = 103;

/** Rejects with ListenError, or the system's error. */
export async function openUnixSocket(server: Server, path: string): Promise<void> {
  if (Buffer.byteLength(path) > maxPathBytes) {
    throw new ListenError(
      'bad_address',
      `the path of the socket ${path} is longer than ${maxPathBytes} bytes`,
    );
  }
  try {
    await listenOn(server, path);
  } catch (error) {
    if (errnoOf(error) !== 'EADDRINUSE') throw error;
    await removeStale(path, error);
    await listenOn(server, path);
  }
  await chmod(path, socketMode);
}

function listenOn(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ path, backlog: 1024 }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** Only what is a socket and answers nobody. */
async function removeStale(path: string, cause: unknown): Promise<void> {
  const facts = await lstat(path);
  if (!facts.isSocket()) {
    throw new ListenError(
      'bad_address',
      `${path} is there and is no socket; remove it or choose another path`,
      {
        cause,
      },
    );
  }
  if (await isListenedOn(path)) {
    throw new ListenError(
      'in_use',
      `another process listens on ${path}; stop that one or choose another path`,
      {
        cause,
      },
    );
  }
  await rm(path, { force: true });
}

function isListenedOn(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    // What else went wrong does not show that nobody is there.
    socket.once('error', (error) => resolve(errnoOf(error) !== 'ECONNREFUSED'));
  });
}
