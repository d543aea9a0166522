/**
 * Connections whose steps are timed: name, TCP, the outbound proxy, TLS. They are made of the same steps as those of
 * `serve`, so that what is measured is what would be used.
 */
import { type LookupAddress, lookup } from 'node:dns';
import { Agent, type ClientRequestArgs } from 'node:http';
import { isIP, type LookupFunction, type Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import type { Clock } from '../../lib/clock.ts';
import { ConnectError, innerAddressCode } from '../../outbound/connect-error.ts';
import { dial, type StepLimit, secure } from '../../outbound/connect-steps.ts';
import { openHttpTunnel } from '../../outbound/http-tunnel.ts';
import { bareHost, isInnerHost } from '../../outbound/network-address.ts';
import type { ProxyHop } from '../../outbound/proxy-rule.ts';
import { openSocks5 } from '../../outbound/socks5.ts';

/** Collects the steps of one request, its redirects included. */
export class StepTimes {
  dnsMs: number | null = null;
  connectMs: number | null = null;
  proxyMs: number | null = null;
  tlsMs: number | null = null;
  /** What it waits for now, for the text of a deadline. */
  waitsFor: 'name' | 'connection' | 'outbound proxy' | 'TLS handshake' | 'first byte' | 'rest of the body' =
    'first byte';
  connections = 0;
  readonly #sockets = new Set<Socket>();

  add(step: 'dnsMs' | 'connectMs' | 'proxyMs' | 'tlsMs', ms: number): void {
    this[step] = (this[step] ?? 0) + ms;
  }

  track(socket: Socket): void {
    this.#sockets.add(socket);
  }

  /** Connections are no longer this request's affair. */
  release(): void {
    this.#sockets.clear();
  }

  /** Ends the connections being made or in use. */
  destroy(): void {
    for (const socket of this.#sockets) socket.destroy();
  }
}

export interface AgentOptions {
  readonly target: URL;
  readonly hop: ProxyHop;
  /** For TLS to the target and to a proxy. */
  readonly targetContext: () => SecureContext;
  readonly plainContext: () => SecureContext;
  /** False: an address inside this machine or network is refused. */
  readonly mayGoInside: boolean;
  /** The name led to such an address. */
  readonly onInside: () => void;
  readonly limit: StepLimit;
  readonly isKept: boolean;
}

/** Request options that `MeasuredAgent` understands: pass them to `http.request`, also for https. */
export interface MeasuredRequestArgs extends ClientRequestArgs {
  readonly steps: StepTimes;
}

/** An agent for one server by one way. The scheme is its own affair: `http.request` is right for https too. */
export class MeasuredAgent extends Agent {
  readonly #options: AgentOptions;

  constructor(options: AgentOptions) {
    super({ keepAlive: options.isKept, maxFreeSockets: 64 });
    this.#options = options;
  }

  override createConnection(
    args: ClientRequestArgs,
    callback?: (error: Error | null, socket: Socket) => void,
  ): undefined {
    const steps = 'steps' in args && args.steps instanceof StepTimes ? args.steps : new StepTimes();
    open(this.#options, steps).then(
      (socket) => callback?.(null, socket),
      // Node's own type wants a socket even where there is none.
      (error: Error) => (callback as ((failure: Error) => void) | undefined)?.(error),
    );
    return undefined;
  }
}

async function open(options: AgentOptions, steps: StepTimes): Promise<Socket> {
  const { target, hop, limit } = options;
  const { clock } = limit;
  const host = bareHost(target.hostname);
  const isTls = target.protocol === 'https:';
  const port = target.port === '' ? (isTls ? 443 : 80) : Number(target.port);
  steps.connections += 1;
  let socket: Socket;
  if (hop === 'direct') {
    socket = await timedDial({ host, port }, options, steps);
  } else {
    try {
      socket = await timedDial({ host: hop.host, port: hop.port }, options, steps);
      if (hop.kind === 'https') {
        const toProxy = { host: hop.host, context: options.plainContext() };
        socket = await timed(clock, steps, 'proxyMs', () => handshake(socket, toProxy, limit, steps));
      }
    } catch (error) {
      if (!(error instanceof ConnectError)) throw error;
      throw new ConnectError('proxy', `the outbound proxy ${hop.shown} cannot be used: ${error.message}`, {
        cause: error,
      });
    }
    if (hop.kind === 'socks5' || isTls) {
      steps.waitsFor = 'outbound proxy';
      const through = hop.kind === 'socks5' ? openSocks5 : openHttpTunnel;
      await timed(clock, steps, 'proxyMs', () => through(socket, { host, port }, hop, limit));
    }
  }
  if (isTls) {
    steps.waitsFor = 'TLS handshake';
    const toTarget = { host, context: options.targetContext() };
    socket = await timed(clock, steps, 'tlsMs', () => handshake(socket, toTarget, limit, steps));
  }
  steps.waitsFor = 'first byte';
  return socket;
}

async function timedDial(
  to: { readonly host: string; readonly port: number },
  options: AgentOptions,
  steps: StepTimes,
): Promise<Socket> {
  const { clock } = options.limit;
  const startedMs = clock.monotonic();
  let resolvedMs = isIP(to.host) === 0 ? undefined : startedMs;
  steps.waitsFor = resolvedMs === undefined ? 'name' : 'connection';
  const guarded = options.mayGoInside || options.hop !== 'direct' ? lookup : outsideOnly;
  const timedLookup: LookupFunction = (name, wanted, callback) => {
    guarded(name, wanted, (error, address, family) => {
      if (error === null) {
        resolvedMs = clock.monotonic();
        steps.waitsFor = 'connection';
        if (options.hop === 'direct' && addressesOf(address).some(isInnerHost)) options.onInside();
      }
      callback(error, address, family);
    });
  };
  try {
    return await dial({ ...to, lookup: timedLookup }, options.limit, (socket) => steps.track(socket));
  } finally {
    const nowMs = clock.monotonic();
    steps.add('dnsMs', (resolvedMs ?? nowMs) - startedMs);
    if (resolvedMs !== undefined) steps.add('connectMs', nowMs - resolvedMs);
  }
}

/** A public server must not make us ask internal ones. */
const outsideOnly: LookupFunction = (name, options, callback) => {
  lookup(name, options, (error, address, family) => {
    if (error !== null || !addressesOf(address).some(isInnerHost)) {
      callback(error, address, family);
      return;
    }
    const refused = new Error(`${name} is an address inside this network`);
    callback(Object.assign(refused, { code: innerAddressCode }), address, family);
  });
};

function addressesOf(address: string | LookupAddress[]): string[] {
  return typeof address === 'string' ? [address] : address.map((one) => one.address);
}

async function handshake(
  socket: Socket,
  to: { readonly host: string; readonly context: SecureContext },
  limit: StepLimit,
  steps: StepTimes,
): Promise<Socket> {
  // Without an earlier session: every handshake is a whole one, as curl's.
  const secured = await secure(socket, { ...to, session: undefined, onSession: () => {} }, limit);
  steps.track(secured);
  return secured;
}

async function timed<Result>(
  clock: Clock,
  steps: StepTimes,
  step: 'proxyMs' | 'tlsMs',
  work: () => Promise<Result>,
): Promise<Result> {
  const startedMs = clock.monotonic();
  try {
    return await work();
  } finally {
    steps.add(step, clock.monotonic() - startedMs);
  }
}
