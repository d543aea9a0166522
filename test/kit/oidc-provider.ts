/**
 * A real OpenID Connect provider on 127.0.0.1 with made-up users, and a browser that logs in to it. It does not import
 * vitest.
 */
import { generateKeyPairSync } from 'node:crypto';
import { createServer, type ServerResponse } from 'node:http';
import { Provider } from 'oidc-provider';

export interface OidcProvider extends AsyncDisposable {
  /** `http://127.0.0.1:PORT`. */
  readonly issuer: string;
  readonly clientId: string;
  /** User → groups. What is changed here is in tokens made later. */
  readonly groups: Map<string, readonly string[]>;
  /** Requests, e.g. `POST /token`, in order. */
  readonly asked: string[];
  /** What came to the authorization endpoint last. */
  authorization(): URLSearchParams;
  /** Changes what the token endpoint answers, as an issuer gone wrong would. */
  tamper: ((answer: Record<string, unknown>) => void) | undefined;
  /** Answers 500 to everything. */
  isDown: boolean;
  readonly close: () => Promise<void>;
}

export async function startOidcProvider(): Promise<OidcProvider> {
  const clientId = 'modferry-cli';
  const groups = new Map<string, readonly string[]>([['alice', ['team-a', 'developers']]]);
  const asked: string[] = [];
  let authorization = new URLSearchParams();
  let handle: ReturnType<Provider['callback']> | undefined;
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://x');
    asked.push(`${request.method} ${url.pathname}`);
    if (url.pathname === '/auth') authorization = url.searchParams;
    if (kit.isDown || handle === undefined) response.writeHead(500).end();
    else {
      if (url.pathname === '/token' && kit.tamper !== undefined) changeAnswer(response, kit.tamper);
      handle(request, response);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const issuer = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  const kit: OidcProvider = {
    issuer,
    clientId,
    groups,
    asked,
    authorization: () => authorization,
    isDown: false,
    tamper: undefined,
    close,
    [Symbol.asyncDispose]: close,
  };
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const provider = quietly(
    () =>
      new Provider(issuer, {
        clients: [
          {
            client_id: clientId,
            application_type: 'native',
            // RFC 8252, 7.3: any port of it.
            redirect_uris: ['http://127.0.0.1/callback'],
            token_endpoint_auth_method: 'none',
            grant_types: ['authorization_code', 'refresh_token'],
            response_types: ['code'],
            id_token_signed_response_alg: 'ES256',
          },
        ],
        jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'key-1', alg: 'ES256', use: 'sig' }] },
        cookies: { keys: ['test'] },
        pkce: { required: () => true },
        scopes: ['openid', 'offline_access', 'profile', 'groups'],
        claims: { openid: ['sub'], profile: ['preferred_username'], groups: ['groups'] },
        // The ID token has what the scopes ask for, as most issuers do it.
        conformIdTokenClaims: false,
        features: {
          devInteractions: { enabled: true },
          revocation: { enabled: true, allowedPolicy: () => true },
        },
        ttl: {
          IdToken: 300,
          AccessToken: 300,
          AuthorizationCode: 60,
          Grant: 86_400,
          Interaction: 300,
          RefreshToken: 86_400,
          Session: 300,
        },
        findAccount: (_: unknown, id: string) => ({
          accountId: id,
          claims: () => ({ sub: id, preferred_username: id, groups: groups.get(id) ?? [] }),
        }),
      }),
  );
  handle = provider.callback();

  async function close(): Promise<void> {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  return kit;
}

function changeAnswer(response: ServerResponse, change: (answer: Record<string, unknown>) => void): void {
  const end = response.end.bind(response);
  response.end = (body: unknown) => {
    const answer = JSON.parse(String(body)) as Record<string, unknown>;
    change(answer);
    const text = JSON.stringify(answer);
    response.setHeader('content-length', Buffer.byteLength(text));
    return end(text);
  };
}

/** It warns of what is meant here: users without passwords, and nothing kept. */
function quietly<Result>(make: () => Result): Result {
  const { warn, info } = console;
  Object.assign(console, { warn: () => {}, info: () => {} });
  try {
    return make();
  } finally {
    Object.assign(console, { warn, info });
  }
}

export interface BrowserOptions {
  /** Default `alice`. */
  readonly user?: string;
  /** Goes back instead of logging in. */
  readonly refuses?: boolean;
  /** Changes the address that the provider sends the browser back to. */
  readonly changeCallback?: (url: URL) => URL;
}

/** Does what a user does in the browser, up to the page that the command shows at last. */
export async function browse(
  page: string,
  options: BrowserOptions = {},
): Promise<{ status: number; text: string }> {
  const { user = 'alice', refuses = false, changeCallback = (url) => url } = options;
  const { origin } = new URL(page);
  const cookies = new Map<string, string>();
  let next: { url: URL; form?: URLSearchParams } = { url: new URL(page) };
  for (let steps = 0; steps < 20; steps += 1) {
    const isBack = next.url.origin !== origin;
    if (isBack) {
      const answer = await fetch(changeCallback(next.url));
      return { status: answer.status, text: await answer.text() };
    }
    const answer = await fetch(next.url, {
      redirect: 'manual',
      method: next.form === undefined ? 'GET' : 'POST',
      headers: { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join('; ') },
      ...(next.form === undefined ? {} : { body: next.form }),
    });
    for (const line of answer.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      cookies.set(name, value);
    }
    const location = answer.headers.get('location');
    const text = await answer.text();
    if (location !== null) next = { url: new URL(location, next.url) };
    else if (!answer.ok) return { status: answer.status, text };
    else
      next = refuses
        ? { url: abortUrl(text, next.url) }
        : { url: formUrl(text, next.url), form: formOf(text, user) };
  }
  throw new Error('the log-in does not end');
}

function formUrl(html: string, base: URL): URL {
  return new URL(/<form[^>]* action="([^"]+)"/.exec(html)?.[1] ?? '', base);
}

function abortUrl(html: string, base: URL): URL {
  return new URL(/href="([^"]*\/abort)"/.exec(html)?.[1] ?? '', base);
}

function formOf(html: string, user: string): URLSearchParams {
  const prompt = /name="prompt" value="(\w+)"/.exec(html)?.[1] ?? '';
  return new URLSearchParams(prompt === 'login' ? { prompt, login: user, password: 'x' } : { prompt });
}
