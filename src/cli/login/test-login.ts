/** Test help: a server's `/-/v1/login` over plain http or TLS, with the real API behind it, and a browser to log in with. */
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttps } from 'node:https';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { type BrowserOptions, browse, type OidcProvider } from '../../../test/kit/oidc-provider.ts';
import type { Certificate } from '../../../test/kit/tls.ts';
import { createJwtAuthenticator } from '../../access/oidc/jwt-authenticator.ts';
import { loginApi } from '../../access/oidc/login-api.ts';
import { systemClock } from '../../lib/clock.ts';
import { type FakeCli, type FakeCliOptions, fakeCli, tempFolder } from '../test-kit.ts';

export interface LoginServer {
  readonly url: string;
  /** Login tokens that are good now, with whom they are of. */
  readonly tokens: Map<string, { readonly name: string; readonly groups: readonly string[] }>;
  /** `POST /-/v1/login` and the like, in order. */
  readonly asked: string[];
  /** Answers with this instead. */
  answer: { readonly status: number; readonly body: string } | undefined;
  sessionMs: number;
  /** Answers everything but the log-in. Default: 404. */
  other: ((request: IncomingMessage, response: ServerResponse) => void) | undefined;
}

export async function startLoginServer(
  provider: OidcProvider,
  certificate?: Certificate,
): Promise<LoginServer> {
  const { issuer, clientId } = provider;
  const authenticator = createJwtAuthenticator(
    [{ issuer, audience: clientId, rules: [], isForPeople: true }],
    {
      clock: systemClock,
    },
  );
  const tokens: LoginServer['tokens'] = new Map();
  let made = 0;
  const asked: string[] = [];
  const state: Pick<LoginServer, 'answer' | 'sessionMs' | 'other'> = {
    answer: undefined,
    sessionMs: 3_600_000,
    other: undefined,
  };
  const api = () =>
    loginApi({
      issuer,
      clientId,
      authenticator,
      clock: systemClock,
      sessionMs: state.sessionMs,
      scopes: ['openid', 'profile', 'groups', 'offline_access'],
      mint: ({ name, groups }) => {
        made += 1;
        tokens.set(`mf_login_${made}`, { name, groups });
        return `mf_login_${made}`;
      },
      revoke: (token) =>
        tokens.delete(token) ? { kind: 'ended', id: token, name: 'somebody' } : { kind: 'none' },
    });
  async function reply(request: IncomingMessage, response: ServerResponse): Promise<void> {
    asked.push(`${request.method} ${request.url}`);
    const json = (status: number, value: unknown): void =>
      void response.writeHead(status).end(JSON.stringify(value));
    const { authorization } = request.headers;
    if (state.answer !== undefined) response.writeHead(state.answer.status).end(state.answer.body);
    else if (request.url !== '/go/-/v1/login') {
      if (state.other === undefined) response.writeHead(404).end();
      else state.other(request, response);
    } else if (request.method === 'GET') json(200, api().info());
    else if (request.method === 'DELETE')
      response.writeHead((await api().end(authorization)).kind === 'ended' ? 204 : 401).end();
    else {
      const result = await api().exchange(authorization, new AbortController().signal);
      if (result.status === 200) json(200, result.grant);
      else response.writeHead(result.status).end(result.text);
    }
  }
  const answerAll = (request: IncomingMessage, response: ServerResponse): void =>
    void reply(request, response);
  const server =
    certificate === undefined
      ? createHttp(answerAll)
      : createHttps({ cert: certificate.cert, key: certificate.key }, answerAll);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await authenticator.close();
  });
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const url = `${certificate === undefined ? 'http' : 'https'}://127.0.0.1:${port}/go`;
  return Object.assign(state, { url, tokens, asked });
}

export interface Desk {
  readonly home: string;
  readonly credentialsFile: string;
  cli(options?: FakeCliOptions): FakeCli;
  /** What is in the file now. */
  saved(): Record<string, Record<string, unknown>>;
  /** Changes one entry, as time or another command would. */
  change(server: string, fields: Readonly<Record<string, unknown>>): void;
  /** The page that the command opened in the browser, once it did. */
  openedPage(): Promise<string>;
  /** Runs `login` and does in the browser what `options` say. */
  logIn(server: string, args?: readonly string[], options?: BrowserOptions): ReturnType<FakeCli['run']>;
}

/** A user's machine: a home, and a browser that notes what it is told to open. */
export function startDesk(): Desk {
  const home = tempFolder();
  const credentialsFile = join(home, '.config/modferry/credentials.json');
  const [bin, opened] = [join(home, 'bin'), join(home, 'opened')];
  mkdirSync(bin);
  writeFileSync(
    join(bin, 'xdg-open'),
    `#!/bin/sh\nprintf %s "$1" > ${opened}.new && /bin/mv ${opened}.new ${opened}\n`,
  );
  chmodSync(join(bin, 'xdg-open'), 0o755);
  const cli = (options: FakeCliOptions = {}) =>
    fakeCli({ ...options, env: { HOME: home, PATH: bin, ...options.env } });
  const saved = () =>
    (JSON.parse(readFileSync(credentialsFile, 'utf8')) as { servers: ReturnType<Desk['saved']> }).servers;
  async function openedPage(): Promise<string> {
    await expect.poll(() => existsSync(opened), { timeout: 10_000 }).toBe(true);
    return readFileSync(opened, 'utf8');
  }
  return {
    home,
    credentialsFile,
    cli,
    saved,
    change(server, fields) {
      const servers = saved();
      servers[server] = { ...servers[server], ...fields };
      writeFileSync(credentialsFile, JSON.stringify({ version: 1, servers }));
    },
    openedPage,
    async logIn(server, args = [], options = {}) {
      const running = cli().run('login', '--server', server, ...args);
      const page = await Promise.race([openedPage(), running.then(() => undefined)]);
      if (page !== undefined) await browse(page, options);
      return await running;
    },
  };
}
