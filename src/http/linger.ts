/**
 * An answer to a request whose body is still being sent. Closing at once would make the system reset the connection, and
 * most clients then report that instead of the answer: so what still comes is read and dropped for a moment.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Clock } from '../lib/clock.ts';

const lingerMs = 2_000;

/**
 * Sends the body of an answer that closes the connection; its head, with `content-length`, was written before. Resolves
 * when the client has stopped sending, at the latest after 2 s. Never rejects.
 */
export async function endLingering(
  request: IncomingMessage,
  response: ServerResponse,
  body: Buffer,
  clock: Clock,
): Promise<void> {
  if (request.complete || response.destroyed) {
    response.end(body);
    return;
  }
  response.write(body);
  await new Promise<void>((resolve) => {
    const timer = clock.setTimeout(resolve, lingerMs);
    const done = (): void => {
      timer.cancel();
      resolve();
    };
    request.once('end', done);
    request.once('error', done);
    response.once('close', done);
    request.resume();
  });
  response.end();
}
