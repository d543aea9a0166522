/**
 * Every way to a module × everybody who may ask, as one table: with what is refused told, and with it hidden. Each
 * request is made twice, and who may all asks first, so that ready answers are asked for by those who may not.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fakeModule } from '../kit/fake-module.ts';
import type { ModferryProcess } from '../kit/modferry-process.ts';
import { type SumdbLog, startSumdbLog } from '../kit/sumdb-log.ts';
import {
  alice,
  basic,
  bearer,
  bob,
  fileOf,
  makeToken,
  moduleA,
  moduleB,
  moduleClosed,
  moduleOpen,
  moduleShort,
  type Sent,
  type Sources,
  send,
  start,
  startSources,
} from './access-support.ts';
import { hidden, type Person, people, rowsOf, told } from './access-table.ts';

const modules = {
  'team-a': moduleA,
  'team-b': moduleB,
  closed: moduleClosed,
  private: moduleShort,
  public: moduleOpen,
};
type Team = keyof typeof modules;

interface Ask {
  readonly path: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
}

const shapes: Readonly<Record<string, (team: Team) => Ask>> = {
  '.info': (team) => ({ path: fileOf(modules[team], 'info') }),
  '.mod': (team) => ({ path: fileOf(modules[team], 'mod') }),
  '.zip': (team) => ({ path: fileOf(modules[team], 'zip') }),
  list: (team) => ({ path: `/${modules[team].path}/@v/list` }),
  latest: (team) => ({ path: `/${modules[team].path}/@latest` }),
  query: (team) => ({ path: `/${modules[team].path}/@v/main.info` }),
  HEAD: (team) => ({ path: fileOf(modules[team], 'mod'), method: 'HEAD' }),
  range: (team) => ({ path: fileOf(modules[team], 'zip'), headers: { range: 'bytes=0-9' } }),
  '304': (team) => ({
    path: fileOf(modules[team], 'mod'),
    headers: { 'if-none-match': etags.get(team) ?? '*' },
  }),
  lookup: (team) => ({ path: `/sumdb/${log.name}/lookup/${modules[team].path}@v1.0.0` }),
};

const anywhere: Readonly<Record<string, Ask>> = {
  metrics: { path: '/metrics' },
  home: { path: '/' },
  version: { path: '/version' },
  healthz: { path: '/healthz' },
  whoami: { path: '/-/v1/whoami' },
  tokens: { path: '/-/v1/tokens' },
  'POST tokens': { path: '/-/v1/tokens', method: 'POST', body: '{"nothing": 1}' },
  'DELETE token': { path: '/-/v1/tokens/nobody', method: 'DELETE' },
  unknown: { path: '/-/v1/nothing' },
};

const etags = new Map<Team, string>();
let log: SumdbLog;
let sources: Sources;
const proxies = new Map<boolean, ModferryProcess>();
const asOf = new Map<ModferryProcess, ReadonlyMap<Person, string | undefined>>();

beforeAll(async () => {
  log = await startSumdbLog({ pad: 5, modules: [moduleOpen] });
  sources = await startSources();
  await Promise.all([false, true].map(open));
});
afterAll(async () => {
  for (const proxy of proxies.values()) await proxy.close();
  await sources[Symbol.asyncDispose]();
  await log.close();
});

async function open(hide: boolean): Promise<void> {
  const proxy = await start({
    config: { ...sources.config, access: { ...sources.config.access, hide } },
    env: { GOSUMDB: `${log.verifierKey} ${log.url}` },
  });
  proxies.set(hide, proxy);
  const [reader, admin] = await Promise.all([
    makeToken(proxy.dataDir, 'reader', ['--read', 'corp.example/team-a']),
    makeToken(proxy.dataDir, 'admin', ['--publish', '*', '--admin']),
  ]);
  asOf.set(
    proxy,
    new Map<Person, string | undefined>([
      ['alice', alice],
      ['bob', bob],
      ['reader', bearer(reader.token)],
      ['admin', bearer(admin.token)],
    ]),
  );
}

function proxyOf(hide: boolean): ModferryProcess {
  const proxy = proxies.get(hide);
  if (proxy === undefined) throw new Error('it did not start');
  return proxy;
}

function ask(proxy: ModferryProcess, person: Person, { path, ...rest }: Ask): Promise<Sent> {
  return send(proxy.url, path, { ...rest, as: asOf.get(proxy)?.get(person) });
}

/** A version that nobody uploaded before; every upload that may be made makes one. */
let uploads = 0;
function upload(team: Team): Ask & { readonly version: string } {
  uploads += 1;
  const version = `v1.10.${uploads}`;
  const module = fakeModule({ path: modules[team].path, version });
  return { path: fileOf(module, 'zip'), method: 'PUT', body: module.zip, version };
}

const removal = { method: 'DELETE', headers: { 'x-modferry-reason': 'for a test' } };

/** What one of them asks for under this name; `stays`: uploads that are taken back only by whoever may. */
async function askOf(
  proxy: ModferryProcess,
  person: Person,
  team: Team,
  name: string,
  stays: ReadonlyMap<Team, string>,
): Promise<Ask> {
  if (name === 'PUT') return upload(team);
  if (name === 'DELETE') {
    if (person !== 'admin' || team === 'public' || team === 'closed') {
      return { ...removal, path: stays.get(team) ?? fileOf({ ...modules[team], version: 'v1.9.9' }, 'zip') };
    }
    const made = upload(team);
    expect((await ask(proxy, 'admin', made)).status).toBe(201);
    return { ...removal, path: made.path };
  }
  const what = anywhere[name] ?? shapes[name]?.(team);
  if (what === undefined) throw new Error(`nothing is called ${name}`);
  return what;
}

/** The row of one endpoint, in the order of `people`. What is ready after the first is asked for by the others. */
async function statusesOf(
  proxy: ModferryProcess,
  team: string,
  name: string,
  stays: ReadonlyMap<Team, string>,
): Promise<string> {
  const statusOf = async (person: Person): Promise<number> =>
    (await ask(proxy, person, await askOf(proxy, person, team as Team, name, stays))).status;
  const admin = await statusOf('admin');
  const others = await Promise.all(people.filter((person) => person !== 'admin').map(statusOf));
  return [...others, admin].join(' ');
}

describe.each([
  [false, told],
  [true, hidden],
])('hide: %s', (hide, table) => {
  it('answers each of them as the table says, and ready answers too', async () => {
    const proxy = proxyOf(hide);
    const stays = new Map<Team, string>();
    for (const team of ['team-a', 'team-b', 'private'] as const) {
      const made = upload(team);
      expect((await ask(proxy, 'admin', made)).status).toBe(201);
      stays.set(team, made.path);
    }
    for (const team of ['team-a', 'team-b', 'private', 'public'] as const) {
      const { headers } = await ask(proxy, 'admin', { path: fileOf(modules[team], 'mod') });
      etags.set(team, headers.etag ?? '');
    }
    expect([...etags.values()].every((etag) => /^"[0-9a-f]{64}"$/.test(etag))).toBe(true);
    const rows = rowsOf(table);
    expect(rows.length).toBe(69);
    const wanted = rows.map(({ team, name, statuses }) => `${team} ${name} ${statuses}`);
    for (const round of ['first', 'second']) {
      const got: string[] = [];
      for (const { team, name } of rows)
        got.push(`${team} ${name} ${await statusesOf(proxy, team, name, stays)}`);
      expect(got, round).toEqual(wanted);
    }
    for (const path of stays.values()) expect((await ask(proxy, 'admin', { path })).status).toBe(200);
  });

  it('lets no cache on the way keep what is not for everybody', async () => {
    const proxy = proxyOf(hide);
    for (const team of ['team-a', 'public'] as const) {
      for (const name of ['.info', '.mod', '.zip', 'list', 'latest', 'query', 'HEAD', 'range', '304']) {
        const what = shapes[name]?.(team) ?? { path: '/' };
        for (const round of [1, 2]) {
          const { headers } = await ask(proxy, 'alice', what);
          const cache = headers['cache-control'] ?? '';
          if (team === 'public') expect(cache, `${name} ${round}`).not.toContain('private');
          else {
            expect(cache, `${name} ${round}`).toMatch(/^private,|^no-cache$|^no-store$/);
            expect(headers.vary, `${name} ${round}`).toMatch(/authorization/i);
          }
          const refused = await ask(proxy, 'bob', what);
          if (team === 'team-a') expect(refused.headers['cache-control'], name).toBe('no-store');
        }
      }
    }
  });

  it('tells nobody who may not whether a module or version exists', async () => {
    const proxy = proxyOf(hide);
    const { path } = moduleB;
    const pairs = [
      [`/${path}/@v/v1.0.0.info`, `/${path}/@v/v1.7.7.info`],
      [`/${path}/@v/v1.0.0.mod`, '/corp.example/team-b/nothing/@v/v1.0.0.mod'],
      [`/${path}/@v/v1.0.0.zip`, `/${path}/@v/v1.7.7.zip`],
      [`/${path}/@v/list`, '/corp.example/team-b/nothing/@v/list'],
      [`/${path}/@latest`, `/${path}/sub/@latest`],
      [`/${path}/@v/main.info`, `/${path}/@v/nothing.info`],
    ] as const;
    for (const [existing, missing] of pairs) {
      for (const method of ['GET', 'HEAD']) {
        for (const headers of [{}, { range: 'bytes=0-1' }, { 'if-none-match': etags.get('team-b') ?? '*' }]) {
          for (const person of ['alice', 'reader', 'anonymous'] as const) {
            const [one, other] = await Promise.all(
              [existing, missing].map((each) => ask(proxy, person, { path: each, method, headers })),
            );
            expect(comparable(one), `${method} ${existing} by ${person}`).toEqual(comparable(other));
            if (hide && method === 'GET') expect(one).toMatchObject({ status: 404, text: 'not found\n' });
          }
        }
      }
    }
    for (const method of ['PUT', 'DELETE']) {
      const [one, other] = await Promise.all(
        [pairs[2][0], pairs[2][1]].map((each) =>
          ask(proxy, 'alice', { path: each, method, headers: removal.headers, body: 'no zip' }),
        ),
      );
      expect(comparable(one), method).toEqual(comparable(other));
    }
  });

  it('tells no private name in metrics, and on its page only to whoever is known', async () => {
    const proxy = proxyOf(hide);
    const metrics = await ask(proxy, 'anonymous', { path: '/metrics' });
    expect(metrics.text).toMatch(/requests?_total/);
    const lines = metrics.text.split('\n').filter((line) => !line.startsWith('#'));
    expect(lines.filter((line) => /(?:corp|short)\.example|team-|alice|bob|reader/.test(line))).toEqual([]);
    const told = async (person: Person) => {
      const { text } = await ask(proxy, person, { path: '/' });
      return ['corp.example/team-a', 'corp.example/team-b', 'corp.example/closed', 'short.example'].filter(
        (name) => text.includes(name),
      );
    };
    expect(await told('anonymous')).toEqual([]);
    // Whoever is known here needs them for the settings of go.
    for (const person of ['alice', 'reader'] as const) expect((await told(person)).length).toBe(hide ? 0 : 4);
  });

  it('takes nobody for somebody by what they say of themselves', async () => {
    const proxy = proxyOf(hide);
    const path = fileOf(moduleA, 'mod');
    for (const as of [
      basic('alice', 'bob-secret'),
      basic('alice', ''),
      basic('', 'alice-secret'),
      'Basic',
      'Basic !!!',
      'Bearer',
      'Bearer mfy_nothing',
      'Negotiate abc',
    ]) {
      // Wrong credentials are told in every case: whoever has an old token must hear of it.
      expect((await send(proxy.url, path, { as })).status, as).toBe(401);
    }
    const both = { authorization: 'Basic bm9ib2R5', 'x-forwarded-user': 'alice', 'x-remote-user': 'alice' };
    expect((await send(proxy.url, path, { headers: both })).status).toBe(401);
  });
});

it('tells no name of a team to a public upstream or a checksum database', () => {
  expect(log.count(/open\.example/)).toBeGreaterThan(0);
  expect(log.count(/(?:corp|short)\.example/)).toBe(0);
  expect(sources.outer.requests.some(({ path }) => path.includes('open.example'))).toBe(true);
  expect(sources.outer.requests.filter(({ path }) => /(?:corp|short)\.example/.test(path))).toEqual([]);
});

/** All of an answer but what differs from one moment to the next. */
function comparable(sent: Sent | undefined): unknown {
  if (sent === undefined) return undefined;
  const { date: _date, 'x-request-id': _id, ...headers } = sent.headers;
  return { status: sent.status, headers, text: sent.text };
}
