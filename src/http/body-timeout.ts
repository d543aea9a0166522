/**
 * How long a request may take to arrive. Node's own limit knows no exception, and uploads take as long as they take
 * (ruling 28): so Node's is off, and this one stands in for it. Headers keep Node's limit.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { Clock } from '../lib/clock.ts';
import { answerClientError } from './client-error.ts';

const lingerMs = 2_000;

const exempt = new WeakSet<IncomingMessage>();

/** The body of this request has limits of its own: of pace, not of time. */
export function exemptFromBodyTimeout(request: IncomingMessage): void {
  exempt.add(request);
}

/**
 * Ends the request when its body is not whole after `timeoutMs` (0: never), unless it is exempt by then. To be called
 * when the request comes: one that was destroyed has no socket any more, whatever its type says.
 */
export function watchBody(
  request: IncomingMessage,
  response: ServerResponse,
  timeoutMs: number,
  clock: Clock,
): void {
  if (timeoutMs === 0) return;
  // Nobody reads their body, and there seldom is one: `endUnread` looks at it after the answer.
  if (request.method === 'GET' || request.method === 'HEAD') return;
  const { socket } = request;
  const timer = clock.setTimeout(() => {
    if (request.complete || exempt.has(request)) return;
    if (response.headersSent) socket.destroy();
    else {
      answerClientError(lateError(), socket);
      // Whoever goes on sending has had the time to read it.
      clock.setTimeout(() => socket.destroy(), lingerMs);
    }
  }, timeoutMs);
  response.once('close', () => {
    if (request.complete || socket.destroyed) timer.cancel();
  });
}

/**
 * Ends the connection when the rest of a body that nobody reads is not whole `timeoutMs` after the answer. `socket` is
 * what the request came with.
 */
export function endUnread(request: IncomingMessage, socket: Socket, timeoutMs: number, clock: Clock): void {
  if (request.complete || timeoutMs === 0 || socket.destroyed) return;
  const timer = clock.setTimeout(() => {
    if (!request.complete) socket.destroy();
  }, timeoutMs);
  socket.once('close', () => timer.cancel());
  request.once('end', () => timer.cancel());
}

/** As Node's own. */
function lateError(): Error {
  return Object.assign(new Error('the request took too long'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' });
}
