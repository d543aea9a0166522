/**
 * Nothing is answered before the gate was asked: who is it, and may they? What it refuses it also answers, and tells
 * the audit.
 */
import type { IncomingMessage } from 'node:http';
import { type Access, type Asker, type Decision, type Identity, type Wanted } from '../access/types.ts';
import type { Audit } from '../audit/types.ts';
import type { Clock } from '../lib/clock.ts';
import type { Exchange } from './exchange.ts';
import { headerOf } from './hop.ts';
import { endLingering } from './linger.ts';

export interface GateDeps {
  readonly access: Access;
  readonly audit: Audit;
  readonly clock: Clock;
  askerOf(request: IncomingMessage): Asker;
  /** False: nobody could bring a module of this path, so who is refused is told so (404) instead of to log in. */
  hasSources(path: string): boolean;
}

/** What a request may do, once decided. */
export interface Admitted {
  readonly identity: Identity;
  readonly address: string;
}

export class Gate {
  readonly #deps: GateDeps;
  /** What was decided at once and goes the long way: the request is counted, and not to be counted again. */
  readonly #refused = new WeakMap<IncomingMessage, Denied>();

  constructor(deps: GateDeps) {
    this.#deps = deps;
  }

  /** True: everybody may read it without being asked who they are. */
  isOpen(path: string | undefined): boolean {
    return this.#deps.access.isOpen(path);
  }

  /** Who may read it, if that is known at once; undefined: go the long way. */
  now(request: IncomingMessage, path: string | undefined): Identity | undefined {
    const wanted = { right: 'read', path, request: questionOf(request) } as const;
    const decision = this.#deps.access.decideNow(this.#deps.askerOf(request), wanted);
    if (decision?.allowed === false) this.#refused.set(request, decision);
    return decision?.allowed === true ? decision.identity : undefined;
  }

  /**
   * For what proves by itself who asks: only where it comes from and how often is judged. Undefined: refused, and
   * answered. Never rejects.
   */
  async unjudged(exchange: Exchange): Promise<Admitted | undefined> {
    const { access } = this.#deps;
    const { request } = exchange;
    const decision = access.admitAddress(this.#deps.askerOf(request), questionOf(request));
    if (decision.allowed) return { identity: decision.identity, address: decision.address };
    this.#note(exchange, decision, undefined);
    await this.#refuse(exchange, decision);
    return undefined;
  }

  /** Who it is, whatever they may do. Undefined: nobody known, and answered. Rejects with the signal's reason. */
  async identify(exchange: Exchange, signal: AbortSignal): Promise<Admitted | undefined> {
    const { access } = this.#deps;
    const decision = await access.identify(this.#deps.askerOf(exchange.request), signal);
    exchange.by = nameOf(decision.identity);
    exchange.isGuarded = true;
    if (decision.allowed) return { identity: decision.identity, address: decision.address };
    this.#note(exchange, decision, undefined);
    await this.#refuse(exchange, decision);
    return undefined;
  }

  /**
   * Undefined: refused, and answered. `unserved` instead where rules say no, and there is nobody who could have it.
   * Rejects with the signal's reason.
   */
  async admit(
    exchange: Exchange,
    wanted: Wanted,
    signal: AbortSignal,
  ): Promise<Admitted | 'unserved' | undefined> {
    const { access } = this.#deps;
    const asker = this.#deps.askerOf(exchange.request);
    const asked = { ...wanted, request: questionOf(exchange.request) };
    const decision =
      this.#refused.get(exchange.request) ??
      access.decideNow(asker, asked) ??
      (await access.decide(asker, asked, signal));
    exchange.by = nameOf(decision.identity);
    exchange.isGuarded = !access.isOpen(wanted.path);
    if (decision.allowed) return { identity: decision.identity, address: decision.address };
    this.#note(exchange, decision, wanted);
    // Wrong credentials and addresses are told as everywhere: they are no matter of this module.
    const isLoginWanted = decision.code === 'unauthenticated' || decision.code === 'forbidden';
    const mayBeUnserved = wanted.right === 'read' && isLoginWanted && decision.isByRules === true;
    if (mayBeUnserved && wanted.path !== undefined && !this.#deps.hasSources(wanted.path)) return 'unserved';
    await this.#refuse(exchange, decision);
    return undefined;
  }

  /** The client may be sending still, and would then see a broken connection in place of the answer. */
  async #refuse(exchange: Exchange, decision: Denied): Promise<void> {
    const { request, response } = exchange;
    const status = statusOf[decision.code];
    const text = decision.text.endsWith('\n') ? decision.text : `${decision.text}\n`;
    if (!isSending(request)) {
      exchange.text(status, text, headersOf(decision));
      return;
    }
    const body = Buffer.from(text);
    response.writeHead(status, {
      'content-type': 'text/plain; charset=utf-8',
      'content-length': body.length,
      'x-content-type-options': 'nosniff',
      'x-request-id': exchange.id,
      ...headersOf(decision),
      connection: 'close',
    });
    exchange.log(status, body.length, 'none', false);
    await endLingering(request, response, body, this.#deps.clock);
  }

  /** `wanted` undefined: only who it is was asked for. */
  #note({ request }: Exchange, decision: Denied, wanted: Wanted | undefined): void {
    this.#deps.audit.note({
      action: 'denied',
      who: nameOf(decision.identity),
      from: decision.address === '' ? 'local' : decision.address,
      result: 'refused',
      module: wanted?.path,
      reason: decision.rule,
      data: { right: wanted?.right ?? 'identity', code: decision.code, method: request.method ?? '' },
    });
  }
}

type Denied = Decision & { readonly allowed: false };

/** Repeats of one question count once. */
function questionOf({ method, url }: IncomingMessage): string {
  return `${method ?? ''} ${url ?? ''}`;
}

/** `token:ci`, `user:alice`, `anonymous`: for logs and audit. */
export function nameOf(identity: Identity): string {
  return identity.kind === 'anonymous' ? 'anonymous' : `${identity.kind}:${identity.name}`;
}

const statusOf = {
  unauthenticated: 401,
  forbidden: 403,
  hidden: 404,
  limited: 429,
  unavailable: 503,
} as const;

function headersOf({ code, retryAfterMs }: Denied): Record<string, string> {
  const headers: Record<string, string> = { 'cache-control': 'no-store' };
  if (code === 'unauthenticated') headers['www-authenticate'] = 'Basic realm="modferry", charset="UTF-8"';
  if (retryAfterMs !== undefined)
    headers['retry-after'] = String(Math.max(1, Math.ceil(retryAfterMs / 1000)));
  return headers;
}

/** A client that waits for 100 sends nothing that would have to be read away. */
function isSending(request: IncomingMessage): boolean {
  if (request.method === 'GET' || request.method === 'HEAD' || request.complete) return false;
  return headerOf(request, 'expect')?.toLowerCase() !== '100-continue';
}
