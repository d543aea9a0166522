/**
 * Nothing is answered before the gate was asked: who is it, and may they? What it refuses it also answers, and tells
 * the audit.
 */
import type { IncomingMessage } from 'node:http';
import {
  type Access,
  type Asker,
  anonymous,
  type Decision,
  type Identity,
  type Wanted,
} from '../access/types.ts';
import type { Audit } from '../audit/types.ts';
import type { Exchange } from './exchange.ts';

export interface GateDeps {
  readonly access: Access;
  readonly audit: Audit;
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
    return decision?.allowed === true ? decision.identity : undefined;
  }

  /** For what proves by itself who asks: only where from is told. */
  unjudged(exchange: Exchange): Admitted {
    return { identity: anonymous, address: this.#deps.askerOf(exchange.request).address };
  }

  /** Who it is, whatever they may do. Undefined: nobody known, and answered. Rejects with the signal's reason. */
  async identify(exchange: Exchange, signal: AbortSignal): Promise<Admitted | undefined> {
    const { access } = this.#deps;
    const decision = await access.identify(this.#deps.askerOf(exchange.request), signal);
    exchange.by = nameOf(decision.identity);
    exchange.isGuarded = true;
    if (decision.allowed) return { identity: decision.identity, address: decision.address };
    this.#note(exchange, decision, undefined);
    refuse(exchange, decision);
    return undefined;
  }

  /**
   * Undefined: refused, and answered. `unserved` instead where the asker may not, and there is nobody who could have
   * it. Rejects with the signal's reason.
   */
  async admit(
    exchange: Exchange,
    wanted: Wanted,
    signal: AbortSignal,
  ): Promise<Admitted | 'unserved' | undefined> {
    const { access } = this.#deps;
    const asker = this.#deps.askerOf(exchange.request);
    const asked = { ...wanted, request: questionOf(exchange.request) };
    const decision = access.decideNow(asker, asked) ?? (await access.decide(asker, asked, signal));
    exchange.by = nameOf(decision.identity);
    exchange.isGuarded = !access.isOpen(wanted.path);
    if (decision.allowed) return { identity: decision.identity, address: decision.address };
    const isLoginWanted = decision.code === 'unauthenticated' || decision.code === 'forbidden';
    if (
      wanted.right === 'read' &&
      wanted.path !== undefined &&
      isLoginWanted &&
      !this.#deps.hasSources(wanted.path)
    ) {
      return 'unserved';
    }
    this.#note(exchange, decision, wanted);
    refuse(exchange, decision);
    return undefined;
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

function refuse(exchange: Exchange, decision: Denied): void {
  const { code, text, retryAfterMs } = decision;
  const headers: Record<string, string> = { 'cache-control': 'no-store' };
  if (code === 'unauthenticated') headers['www-authenticate'] = 'Basic realm="modferry", charset="UTF-8"';
  if (retryAfterMs !== undefined)
    headers['retry-after'] = String(Math.max(1, Math.ceil(retryAfterMs / 1000)));
  exchange.text(statusOf[code], text.endsWith('\n') ? text : `${text}\n`, headers);
}
