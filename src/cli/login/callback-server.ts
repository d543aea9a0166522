/**
 * Waits on a loopback address for the browser to come back from the log-in page (RFC 8252, 7.3). Any page in the browser
 * may ask it too: only the answer with the right state counts, and the others change nothing.
 */
import { timingSafeEqual } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { raceAbort } from '../../lib/abort.ts';

const path = '/callback';

export interface CallbackServer {
  /** `http://127.0.0.1:PORT/callback`. */
  readonly redirectUri: string;
  /** Resolves to the whole URL that the browser was sent to, code or error in it. Rejects with the signal's reason. */
  wait(signal: AbortSignal): Promise<URL>;
  close(): void;
}

export async function startCallbackServer(state: string): Promise<CallbackServer> {
  const arrived = Promise.withResolvers<URL>();
  const server = createServer({ headersTimeout: 10_000, requestTimeout: 10_000 }, answer);
  server.maxConnections = 16;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const host = `127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;

  function answer(request: IncomingMessage, response: ServerResponse): void {
    const url = URL.canParse(request.url ?? '', `http://${host}`)
      ? new URL(request.url ?? '', `http://${host}`)
      : undefined;
    // Another host name may lead here: a page that lets its name point to this machine.
    if (request.method !== 'GET' || request.headers.host !== host || url?.pathname !== path) {
      page(response, 404, 'There is nothing here.');
      return;
    }
    if (!isSame(url.searchParams.get('state') ?? '', state)) {
      page(response, 400, 'This is not the log-in that modferry waits for. Start again: modferry login');
      return;
    }
    const isDenied = url.searchParams.has('error');
    page(
      response,
      200,
      isDenied ? 'The log-in was refused; see the terminal.' : 'You can close this window.',
    );
    arrived.resolve(url);
  }

  return {
    redirectUri: `http://${host}${path}`,
    wait: (signal) => raceAbort(arrived.promise, signal),
    close: () => {
      server.close();
      server.closeIdleConnections();
    },
  };
}

/** Nothing of the request is in it. */
function page(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, {
    'content-type': 'text/plain; charset=utf-8',
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    connection: 'close',
  });
  response.end(`modferry: ${text}\n`);
}

function isSame(given: string, expected: string): boolean {
  const [one, other] = [Buffer.from(given), Buffer.from(expected)];
  return one.length === other.length && timingSafeEqual(one, other);
}
