/** The pages beside the protocol: home, health, readiness, version, robots. */
import type { IncomingMessage } from 'node:http';
import type { Page } from '../http/handler.ts';
import { homePage, visibleHost } from '../http/home-page.ts';
import type { PageName } from '../http/route.ts';
import { hopHeaders } from '../upstream/parent-headers.ts';

export interface PageFacts {
  readonly version: string;
  readonly pathPrefix: string;
  fallbackUrl(): string;
  /** Private patterns that whoever asks may know of. */
  privatePatterns(request: IncomingMessage): Promise<readonly string[]>;
  isReady(): Promise<{ ready: boolean; reason: string }>;
  /** How long this node may need to change its source before its first byte. Default: not told. */
  failoverMs(): number;
  /** What Prometheus scrapes. */
  metrics(): Promise<{ readonly contentType: string; readonly body: string }>;
}

const text = 'text/plain; charset=utf-8';

export function makePages(
  facts: PageFacts,
): (name: PageName, request: IncomingMessage) => Promise<Page> | Page {
  return (name, request) => {
    switch (name) {
      case 'home': {
        const fallback = new URL(facts.fallbackUrl()).host;
        const scheme = 'encrypted' in request.socket ? 'https' : 'http';
        const url = `${scheme}://${visibleHost(request.headers.host, fallback)}${facts.pathPrefix}`;
        return facts.privatePatterns(request).then((privatePatterns) => ({
          status: 200,
          contentType: 'text/html; charset=utf-8',
          body: homePage({ url, privatePatterns, version: facts.version }),
          // What stands there is for whoever asks.
          headers: { 'cache-control': 'private, no-cache', vary: 'Authorization' },
        }));
      }
      // Liveness: that this answer was written is the whole of the proof.
      case 'healthz':
        return { status: 200, contentType: text, body: 'ok\n' };
      case 'readyz':
        return facts.isReady().then(({ ready, reason }) => ({
          status: ready ? 200 : 503,
          contentType: text,
          body: `${reason}\n`,
          headers: readyHeaders(facts, ready),
        }));
      case 'version':
        return {
          status: 200,
          contentType: 'application/json',
          body: `${JSON.stringify({ name: 'modferry', version: facts.version, node: process.version })}\n`,
        };
      case 'metrics':
        return facts.metrics().then((page) => ({ status: 200, ...page }));
      default:
        return { status: 200, contentType: text, body: 'User-agent: *\nDisallow: /\n' };
    }
  };
}

/** What a child modferry reads of its parent here (ruling 20). */
function readyHeaders(facts: PageFacts, ready: boolean): Record<string, string> {
  const failoverMs = facts.failoverMs();
  return {
    [hopHeaders.version]: facts.version,
    [hopHeaders.failover]: String(Math.ceil(failoverMs)),
    ...(ready ? {} : { [hopHeaders.cause]: 'draining' }),
  };
}
