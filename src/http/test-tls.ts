/** Test help: a server that tells who asks, and a client of it. */
import { request as plainRequest } from 'node:http';
import { type RequestOptions, request as tlsRequest } from 'node:https';
import { onTestFinished } from 'vitest';
import { FakeClock } from '../lib/fake-clock.ts';
import { askerOf } from './asker.ts';
import type { ListenTarget, TlsSettings } from './listen-target.ts';
import { type Listening, listen, type ServerLimits } from './server.ts';
import type { CertificateEvent } from './server-certificate.ts';

export const limits: ServerLimits = {
  maxConnections: 1_000,
  headersTimeoutMs: 10_000,
  requestTimeoutMs: 10_000,
  keepAliveMs: 5_000,
  maxHeaderBytes: 16_384,
  idleMs: 30_000,
};

export interface TestServer {
  readonly listening: Listening;
  readonly clock: FakeClock;
  readonly events: CertificateEvent[];
}

/** Answers each request with its asker as JSON. Closed after the test. */
export async function startServer(...targets: readonly ListenTarget[]): Promise<TestServer> {
  const clock = new FakeClock(Date.now());
  const events: CertificateEvent[] = [];
  const listening = await listen(
    targets,
    limits,
    (request, response) => response.end(JSON.stringify(askerOf(request))),
    { clock, onCertificate: (event) => events.push(event) },
  );
  onTestFinished(async () => {
    const drained = listening.drain();
    listening.destroy();
    await drained;
  });
  return { listening, clock, events };
}

export function tlsTarget(
  { certFile, keyFile }: { readonly certFile: string; readonly keyFile: string },
  changes: Partial<TlsSettings> = {},
): ListenTarget {
  const tls: TlsSettings = {
    certFile,
    keyFile,
    clientCaFile: undefined,
    clientAuth: 'none',
    minVersion: 'TLSv1.2',
    ...changes,
  };
  return { host: '127.0.0.1', port: 0, tls };
}

export interface Asked {
  readonly status: number;
  readonly text: string;
}

/** One GET. Rejects with the error of the connection. */
export function get(url: string, options: RequestOptions = {}): Promise<Asked> {
  return new Promise((resolve, reject) => {
    const request = url.startsWith('https:') ? tlsRequest : plainRequest;
    const asked = request(url, { agent: false, ...options }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asked.on('error', reject);
    asked.end();
  });
}
