/**
 * An issuer of JWTs as CI services have one: keys, a discovery document and a key set over HTTP, with faults that can be
 * switched on, and tokens of any kind, good and forged. It does not import vitest.
 */
import { createHmac } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import { exportJWK, exportSPKI, generateKeyPair, type JWK, SignJWT } from 'jose';

export type IssuerFault =
  | 'none'
  | 'status-500'
  | 'reset'
  | 'mute'
  | 'huge'
  | 'not-json'
  | 'redirect'
  | 'other-issuer';

export interface SigningKey {
  readonly kid: string;
  readonly alg: string;
  readonly publicJwk: JWK;
  readonly publicPem: string;
  sign(
    claims: Readonly<Record<string, unknown>>,
    header?: Readonly<Record<string, unknown>>,
  ): Promise<string>;
}

export interface JwtIssuerKit extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`. */
  readonly issuer: string;
  readonly jwksUrl: string;
  /** What its key set publishes now; at first one key. */
  keys: readonly (SigningKey | JWK)[];
  readonly key: SigningKey;
  fault: IssuerFault;
  /** Paths asked for, in order. */
  readonly asked: string[];
  readonly close: () => Promise<void>;
}

export async function signingKey(kid: string, alg = 'RS256'): Promise<SigningKey> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true });
  return {
    kid,
    alg,
    publicJwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' },
    publicPem: await exportSPKI(publicKey),
    sign: async (claims, header = {}) =>
      await new SignJWT({ ...claims })
        .setProtectedHeader({ alg, kid, typ: 'JWT', ...header })
        // What is critical to a verifier is none of the signer's business here.
        .sign(privateKey, {
          crit: Object.fromEntries([header['crit'] ?? []].flat().map((name) => [name, true])),
        }),
  };
}

/** `alg` of its first key: RSA keys take long to make. */
export async function startJwtIssuer(alg = 'ES256'): Promise<JwtIssuerKit> {
  const key = await signingKey('key-1', alg);
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? '');
    answer(request.url ?? '', response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const issuer = `http://127.0.0.1:${port}`;
  const kit: JwtIssuerKit = {
    issuer,
    jwksUrl: `${issuer}/keys`,
    keys: [key],
    key,
    fault: 'none',
    asked,
    close,
    [Symbol.asyncDispose]: close,
  };

  function answer(path: string, response: ServerResponse): void {
    const json = (value: unknown): void => void response.end(JSON.stringify(value));
    switch (kit.fault) {
      case 'status-500':
        response.writeHead(500).end();
        return;
      case 'reset':
        response.socket?.resetAndDestroy();
        return;
      case 'mute':
        return;
      case 'huge':
        json({ keys: [], issuer, padding: 'x'.repeat(1024 * 1024) });
        return;
      case 'not-json':
        response.end('<html>log in to the network</html>');
        return;
      case 'redirect':
        response.writeHead(302, { location: 'http://127.0.0.1:1/keys' }).end();
        return;
      case 'other-issuer':
        json({ issuer: 'https://elsewhere.example', jwks_uri: kit.jwksUrl, keys: [] });
        return;
      case 'none':
        if (path === '/keys')
          json({ keys: kit.keys.map((one) => ('publicJwk' in one ? one.publicJwk : one)) });
        else if (path === '/.well-known/openid-configuration') json({ issuer, jwks_uri: kit.jwksUrl });
        else response.writeHead(404).end();
    }
  }

  async function close(): Promise<void> {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  return kit;
}

/** A token with this header and an HMAC by `secret`, or no signature at all. */
export function forgedToken(
  header: Readonly<Record<string, unknown>>,
  claims: Readonly<Record<string, unknown>>,
  secret?: string,
): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = `${part(header)}.${part(claims)}`;
  const signature =
    secret === undefined ? '' : createHmac('sha256', secret).update(signed).digest('base64url');
  return `${signed}.${signature}`;
}
