/** Where to listen, and what is said when that cannot be. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { errnoOf, ModferryError } from '../lib/errors.ts';

export interface TlsSettings {
  /** PEM, the certificate first, then those between it and its authority. Read again when it changes. */
  readonly certFile: string;
  /** PEM, not encrypted. */
  readonly keyFile: string;
  /** PEM, the authorities of client certificates. Needed unless `clientAuth` is `none`. */
  readonly clientCaFile: string | undefined;
  /** `optional`: a client without a certificate, or with one that nobody signed, is a client without a certificate. */
  readonly clientAuth: 'none' | 'optional' | 'required';
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3';
}

export interface ListenTarget {
  /** Name or address; '' is every address of the machine. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** Path of a Unix socket, instead of host and port. */
  readonly socket?: string | undefined;
  /** Undefined: plain HTTP. One certificate for all names: SNI is not looked at. */
  readonly tls?: TlsSettings | undefined;
}

/** `in_use`, `not_permitted`, `bad_address`, `bad_certificate`: each with what to do. */
export class ListenError extends ModferryError<
  'in_use' | 'not_permitted' | 'bad_address' | 'bad_certificate'
> {}

/** Every address of a name, IPv4 first; '' listens on all. Rejects with ListenError. */
export async function addressesOf(host: string): Promise<string[]> {
  if (host === '') return ['0.0.0.0'];
  if (isIP(host) !== 0) return [host];
  // The resolver of some systems knows `localhost` by one family only; clients may try the other.
  if (host === 'localhost') return ['127.0.0.1', '::1'];
  try {
    const found = await lookup(host, { all: true, order: 'ipv4first' });
    return [...new Set(found.map(({ address }) => address))];
  } catch (error) {
    throw new ListenError('bad_address', `cannot listen on ${host}: the name does not resolve`, {
      cause: error,
    });
  }
}

/** `target` as it was written. */
export function listenError(error: unknown, target: string): ListenError {
  if (error instanceof ListenError) return error;
  switch (errnoOf(error)) {
    case 'EADDRINUSE':
      return new ListenError(
        'in_use',
        `${target} is in use by another process; stop that one or choose another address with --listen HOST:PORT`,
        { cause: error },
      );
    case 'EACCES':
      return new ListenError(
        'not_permitted',
        target.startsWith('unix:')
          ? `this user may not make the socket ${target}; choose a folder that it may write to`
          : `this user may not listen on ${target}; choose a port above 1023 with --listen`,
        { cause: error },
      );
    default:
      return new ListenError(
        'bad_address',
        `cannot listen on ${target} (${errnoOf(error) ?? 'unknown error'})`,
        {
          cause: error,
        },
      );
  }
}
