/** The address of an outbound proxy: http, https or SOCKS5, with its credentials kept apart and never shown. */
import { isIP } from 'node:net';
import { ModferryError } from '../lib/errors.ts';
import { Secret } from '../lib/secret.ts';
import { bareHost, bareUrl } from './network-address.ts';

export interface OutboundProxy {
  /** What is spoken to it: HTTP in the clear, HTTP in TLS, or SOCKS version 5. */
  readonly kind: 'http' | 'https' | 'socks5';
  /** Without brackets. */
  readonly host: string;
  readonly port: number;
  readonly credentials: { readonly username: string; readonly password: Secret } | undefined;
  /** Its URL without credentials. */
  readonly shown: string;
  /** Whole URL: tells two proxies apart that differ only in credentials. */
  readonly url: Secret;
}

export class OutboundProxyError extends ModferryError<'bad_proxy'> {}

/** As in Go, `socks5` and `socks5h` are one: the proxy resolves the names. */
const kinds = new Map<string, readonly [OutboundProxy['kind'], number]>([
  ['http:', ['http', 80]],
  ['https:', ['https', 443]],
  ['socks5:', ['socks5', 1080]],
  ['socks5h:', ['socks5', 1080]],
]);

/**
 * `host:port` means http. `where` names the setting in the error; the value may hold a password and is never shown.
 * Throws OutboundProxyError.
 */
export function parseProxy(value: string, where: string): OutboundProxy {
  let url: URL;
  try {
    url = new URL(value.includes('://') ? value : `http://${value}`);
  } catch {
    throw new OutboundProxyError('bad_proxy', `${where} is not an address; write e.g. http://127.0.0.1:3128`);
  }
  const [kind, usualPort] = kinds.get(url.protocol) ?? [];
  const host = bareHost(url.hostname);
  if (kind === undefined || usualPort === undefined || host === '') {
    const text = `${where} must be an http, https, socks5 or socks5h address with a host`;
    throw new OutboundProxyError('bad_proxy', `${text}; write e.g. socks5://127.0.0.1:1080`);
  }
  const username = decoded(url.username);
  const password = decoded(url.password);
  if (kind === 'socks5' && (Buffer.byteLength(username) > 255 || Buffer.byteLength(password) > 255)) {
    const text = `${where} has a user name or password over 255 bytes; SOCKS5 cannot carry it`;
    throw new OutboundProxyError('bad_proxy', text);
  }
  return {
    kind,
    host,
    port: url.port === '' ? usualPort : Number(url.port),
    credentials:
      username === '' && password === '' ? undefined : { username, password: new Secret(password) },
    shown: bareUrl(url).href.replace(/\/+$/, ''),
    url: new Secret(url.href),
  };
}

/** `host:port` as it stands in an authority, IPv6 in brackets. */
export function hostPort(host: string, port: number): string {
  return `${isIP(host) === 6 ? `[${host}]` : host}:${port}`;
}

/** The value of `Proxy-Authorization`; undefined without credentials. */
export function proxyAuthorization(proxy: OutboundProxy): string | undefined {
  if (proxy.credentials === undefined) return undefined;
  const { username, password } = proxy.credentials;
  return `Basic ${Buffer.from(`${username}:${password.reveal()}`, 'utf8').toString('base64')}`;
}

/** Broken percent escapes are taken literally. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
