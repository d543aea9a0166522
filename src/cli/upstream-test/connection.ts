/**
 * A connection made step by step, of the same steps as those of `serve`: name, TCP, outbound proxy, TLS or SSH. Each is
 * told with what came of it.
 */
import { lookup } from 'node:dns/promises';
import { isIP, type LookupFunction, type Socket } from 'node:net';
import type { SecureContext, TLSSocket } from 'node:tls';
import { raceAbort, reasonOf } from '../../lib/abort.ts';
import { messageOf } from '../../lib/errors.ts';
import { ConnectError, tcpFault } from '../../outbound/connect-error.ts';
import { dial, exchange, type StepLimit, secure } from '../../outbound/connect-steps.ts';
import { openHttpTunnel } from '../../outbound/http-tunnel.ts';
import { bareHost } from '../../outbound/network-address.ts';
import type { OutboundProxy } from '../../outbound/proxy-address.ts';
import type { ProxyHop, ProxyRule } from '../../outbound/proxy-rule.ts';
import { openSocks5 } from '../../outbound/socks5.ts';
import { certificateText } from './certificate-text.ts';
import type { StepName, StepWriter } from './step.ts';

/** How one server is reached. */
export interface ConnectionWay {
  readonly proxy: ProxyRule;
  /** May throw a ModferryError for a file that cannot be used. */
  readonly context: () => SecureContext;
  readonly limit: StepLimit;
}

const remedies: Readonly<Partial<Record<StepName, string>>> = {
  dns: 'check the name, and the resolver of this machine (/etc/resolv.conf, VPN)',
  tcp: 'check that the server runs, and that no firewall stands between; behind one, set network.https_proxy',
  proxy: 'check network.http_proxy, https_proxy, no_proxy and pac, or the proxy setting of the upstream',
};

class StepFailed extends Error {}

/** False: a step failed, and was told. Rejects with the signal's reason alone. */
export async function testConnection(
  url: URL,
  way: ConnectionWay,
  steps: StepWriter,
  signal: AbortSignal,
): Promise<boolean> {
  const opened: Socket[] = [];
  const onAbort = (): void => {
    // The one inside first: TLS still speaks over the one below it while it ends.
    for (const socket of opened.toReversed()) socket.destroy();
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    await connect(url, way, steps, signal, (socket) => opened.push(socket));
    return true;
  } catch (error) {
    if (signal.aborted) throw reasonOf(signal);
    if (error instanceof StepFailed) return false;
    throw error;
  } finally {
    signal.removeEventListener('abort', onAbort);
    onAbort();
  }
}

async function connect(
  url: URL,
  way: ConnectionWay,
  steps: StepWriter,
  signal: AbortSignal,
  onSocket: (socket: Socket) => void,
): Promise<void> {
  const { limit } = way;
  const isSsh = url.protocol === 'ssh:';
  const isTls = url.protocol === 'https:';
  const host = bareHost(url.hostname);
  const port = url.port === '' ? (isSsh ? 22 : isTls ? 443 : 80) : Number(url.port);
  const hop = isSsh ? 'direct' : await firstHop(url, way, steps, signal);
  const first = hop === 'direct' ? { host, port } : { host: hop.host, port: hop.port };
  const what = hop === 'direct' ? '' : ` (the outbound proxy ${hop.shown})`;

  const addresses = await tried('dns', steps, () => addressesOf(first.host, limit, signal));
  const shown = addresses.slice(0, 4).join(', ') + (addresses.length > 4 ? ', …' : '');
  steps.ok(
    'dns',
    isIP(first.host) === 0 ? `${first.host} is ${shown}${what}` : `${shown} is an address${what}`,
  );
  let socket = await tried('tcp', steps, () =>
    dial({ ...first, lookup: pinned(addresses) }, limit, onSocket),
  );
  steps.ok('tcp', `connected to ${socket.remoteAddress ?? first.host}, port ${first.port}${what}`);
  if (hop !== 'direct') {
    socket = await tried('proxy', steps, () => throughProxy(socket, hop, { host, port }, way, isTls));
    onSocket(socket);
    steps.ok('proxy', `${hop.shown} lets it through to ${host}:${port}`);
  }
  if (isTls) {
    const secured = await tried('tls', steps, () => handshake(socket, host, way));
    onSocket(secured);
    const { text, isNearEnd } = certificateText(secured, limit.clock.now());
    if (isNearEnd) steps.note('tls', text, 'have it renewed before then');
    else steps.ok('tls', text);
  } else if (isSsh) {
    const banner = await tried('ssh', steps, () => sshBanner(socket, limit));
    steps.ok('ssh', `it is ${banner}`);
  }
}

/** Runs one step; its failure is told, and ends all. */
async function tried<Result>(
  name: StepName,
  steps: StepWriter,
  work: () => Promise<Result>,
): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    const failed = stepOf(name, error);
    steps.failed(failed, messageOf(error), remedies[failed]);
    throw new StepFailed();
  }
}

function stepOf(name: StepName, error: unknown): StepName {
  if (!(error instanceof ConnectError)) return name;
  const { code } = error;
  if (code === 'dns') return name === 'proxy' ? 'proxy' : 'dns';
  return code === 'proxy' || code === 'proxy_auth' ? 'proxy' : name;
}

async function firstHop(
  url: URL,
  { proxy }: ConnectionWay,
  steps: StepWriter,
  signal: AbortSignal,
): Promise<ProxyHop> {
  const hops = await tried('proxy', steps, async () => await raceAbort(Promise.resolve(proxy(url)), signal));
  return hops[0] ?? 'direct';
}

async function addressesOf(host: string, limit: StepLimit, signal: AbortSignal): Promise<readonly string[]> {
  const late = new AbortController();
  const timer = limit.clock.setTimeout(() => {
    late.abort(new ConnectError('dns', `its name was not resolved within ${limit.timeoutMs / 1000} s`));
  }, limit.timeoutMs);
  try {
    const addresses = await raceAbort(systemAddresses(host), AbortSignal.any([signal, late.signal]));
    if (addresses.length > 0) return addresses;
    throw new ConnectError('dns', 'its name has no address');
  } finally {
    timer.cancel();
  }
}

async function systemAddresses(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [host];
  try {
    return (await lookup(host, { all: true })).map(({ address }) => address);
  } catch (error) {
    throw tcpFault(error);
  }
}

/** Gives what was resolved before, so that name and connection are two steps. */
function pinned(addresses: readonly string[]): LookupFunction {
  const all = addresses.map((address) => ({ address, family: isIP(address) }));
  return (_host, options, callback) => {
    if (options.all === true) callback(null, all);
    else callback(null, all[0]?.address ?? '', all[0]?.family ?? 4);
  };
}

async function throughProxy(
  socket: Socket,
  hop: OutboundProxy,
  target: { readonly host: string; readonly port: number },
  way: ConnectionWay,
  isTls: boolean,
): Promise<Socket> {
  const toProxy = hop.kind === 'https' ? await handshake(socket, hop.host, way) : socket;
  if (hop.kind === 'socks5') await openSocks5(toProxy, target, hop, way.limit);
  // Plain http is forwarded request by request: there is no tunnel to open.
  else if (isTls) await openHttpTunnel(toProxy, target, hop, way.limit);
  return toProxy;
}

async function handshake(
  socket: Socket,
  host: string,
  { context, limit }: ConnectionWay,
): Promise<TLSSocket> {
  const step = { host, context: context(), session: undefined, onSession: () => {} };
  return await secure(socket, step, limit);
}

/** The line with which an SSH server begins, fit for a terminal. */
async function sshBanner(socket: Socket, limit: StepLimit): Promise<string> {
  const read = (received: Buffer): { reply: string; usedBytes: number } | undefined => {
    const end = received.indexOf('\n');
    return end < 0 ? undefined : { reply: received.toString('latin1', 0, end), usedBytes: end + 1 };
  };
  // A client says who it is, too; servers may wait for it.
  const what = { send: 'SSH-2.0-modferry_test\r\n', read, maxBytes: 4096 };
  const line = await exchange(socket, what, limit).catch((error: unknown) => {
    throw new Error(`no SSH server answers there: it ${messageOf(error)}`, { cause: error });
  });
  const banner = line.replaceAll(/[^\x20-\x7e]/g, '').slice(0, 80);
  if (/^SSH-(?:2\.0|1\.99)-/.test(banner)) return banner;
  throw new Error('what answers there is no SSH server');
}
