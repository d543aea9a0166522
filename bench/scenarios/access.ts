/**
 * What it costs to decide about somebody who is known, in this process: with 1, 100 and 10,000 routes and as many
 * identities. Every question is about another module of another route, so that no table stays in one cache line. And what
 * that makes of a hit: the same file private, asked with a token, beside public, asked by nobody.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { createAccess } from '../../src/access/access.ts';
import { createToken } from '../../src/access/tokens/token-orders.ts';
import type { Asker, Authenticator, Identity, Wanted } from '../../src/access/types.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createRouteTable } from '../../src/route/route-table.ts';
import type { Route } from '../../src/route/types.ts';
import { tempDir } from '../../test/kit/temp.ts';
import { BenchError } from '../lib/bench-error.ts';
import { cpuTimeMs } from '../lib/cpu-time.ts';
import type { Figure } from '../lib/figure.ts';
import { startProduct } from '../lib/modferry.ts';
import { startUpstream } from '../lib/node-servers.ts';
import type { Bench, Scenario } from '../lib/scenario.ts';
import { interleave, median, medianRatio } from '../lib/stats.ts';
import { microsecondsText, rateText } from '../lib/text.ts';
import { wrk } from '../lib/wrk.ts';

const sizes = [1, 100, 10_000];
const asks = 100_000;
const targetUs = 20;

interface Question {
  readonly asker: Asker;
  readonly wanted: Wanted;
}

export const access: Scenario = {
  name: 'access',
  about:
    'one decision about a known user with 1, 100 and 10,000 routes and identities, in this process; a hot .mod of a private module with a token against the same public',
  async run(bench) {
    const { rounds, note } = bench;
    const figures: Figure[] = [];
    for (const size of sizes) {
      const { engine, questions } = await prepare(size);
      const eachUs: number[] = [];
      for (let round = 0; round < rounds; round += 1) {
        ask(engine, questions);
        const startedAtMs = performance.now();
        ask(engine, questions);
        eachUs.push(((performance.now() - startedAtMs) * 1000) / asks);
      }
      const value = median(eachUs);
      note(`${size} routes: ${eachUs.map((each) => each.toFixed(1)).join(', ')} µs`);
      figures.push({
        name: `µs a decision, ${size} routes, ${size} identities`,
        value,
        unit: '',
        target: { atMost: targetUs },
        detail: `${value.toFixed(1)} µs: Basic, address lists, a rate limit, groups`,
      });
    }
    return [...figures, ...(await privateHits(bench))];
  },
};

const connections = 64;

/** One file, from a modferry that takes it for private and from one that does not. */
async function privateHits({ rounds, seconds, store, note }: Bench): Promise<Figure[]> {
  const { dataDir, corpus, sample } = await store();
  await using own = await tempDir('bench-private');
  await mkdir(join(own.path, 'meta'));
  const path = `/${sample.directory}${sample.version}.mod`;
  const { token } = await createToken(
    own.path,
    systemClock,
    {
      name: 'bench',
      scopes: { read: ['*'], publish: [], admin: false },
      groups: [],
      expiresAtMs: undefined,
    },
    'bench',
  );
  await using upstream = await startUpstream(corpus.root, 0);
  await using open = await startProduct({ dataDir, upstreamUrl: upstream.url });
  // What came from elsewhere before a module was private is not served: this one has its own folder.
  const env = {
    MODFERRY_UPSTREAMS: `[{url: '${upstream.url}', private: true}]`,
    MODFERRY_PRIVATE: '*',
    MODFERRY_DIRECT_ENABLED: 'false',
  };
  await using guarded = await startProduct({ dataDir: own.path, upstreamUrl: undefined, env });
  const authorization = `Bearer ${token}`;
  await expectStatus(401, guarded.url + path, {});
  await expectStatus(200, guarded.url + path, { authorization });
  const header = `Authorization: ${authorization}`;
  const targets = { public: { url: open.url + path }, private: { url: guarded.url + path, header } };
  const cpu: Record<keyof typeof targets, number[]> = { public: [], private: [] };
  const measured = (name: keyof typeof targets) => async (): Promise<number> => {
    const { pid } = name === 'public' ? open : guarded;
    const beforeMs = cpuTimeMs(pid);
    const { requests, requestsPerS } = await wrk({ ...targets[name], connections, seconds });
    const costUs = ((cpuTimeMs(pid) - beforeMs) * 1000) / requests;
    cpu[name].push(costUs);
    note(`${name}: ${Math.round(requestsPerS)}/s, ${costUs.toFixed(1)} µs CPU each`);
    return requestsPerS;
  };
  // Engines compile what is hot; nobody's first seconds count.
  for (const target of Object.values(targets)) await wrk({ ...target, connections, seconds: 1 });
  const rates = await interleave(rounds, { public: measured('public'), private: measured('private') });
  return [
    {
      name: 'hit of a private module with a token / of a public one',
      value: medianRatio(rates.private, rates.public),
      detail: `private ${rateText(rates.private)}, public ${rateText(rates.public)}`,
    },
    {
      name: 'CPU time per hit, private / public',
      value: medianRatio(cpu.private, cpu.public),
      detail: `private ${microsecondsText(cpu.private)}, public ${microsecondsText(cpu.public)}: less noise on a shared machine`,
    },
  ];
}

async function expectStatus(status: number, url: string, headers: Record<string, string>): Promise<void> {
  const answer = await fetch(url, { headers });
  if (answer.status === status) return;
  throw new BenchError(
    'wrong_answer',
    `${url}: ${answer.status} instead of ${status}: ${await answer.text()}`,
  );
}

async function prepare(size: number) {
  const routes = [...Array.from({ length: size }, (_, index) => teamRoute(index)), publicRoute()];
  const engine = createAccess({
    clock: systemClock,
    setup: {
      routes: createRouteTable(routes),
      authenticators: [everybody],
      options: {
        allow: ['10.0.0.0/8', 'fd00::/8'],
        deny: ['10.99.0.0/16'],
        trustedProxies: ['10.0.0.1'],
        hide: false,
        perIdentity: { perSecond: 1e9, burst: 1e9 },
        perAddress: undefined,
        certificate: undefined,
      },
    },
  });
  const questions = Array.from({ length: size }, (_, index): Question => {
    const login = Buffer.from(`user-${index}:some password of a usual length`).toString('base64');
    return {
      asker: {
        authorization: `Basic ${login}`,
        address: '10.0.0.1',
        forwardedFor: `10.1.${index >> 8}.${index & 255}`,
        certificate: undefined,
      },
      wanted: { right: 'read', path: `git.corp.example/team-${index}/service/v2` },
    };
  });
  const { signal } = new AbortController();
  for (const { asker, wanted } of questions) await engine.decide(asker, wanted, signal);
  return { engine, questions };
}

function ask(engine: ReturnType<typeof createAccess>, questions: readonly Question[]): void {
  for (let count = 0; count < asks; count += 1) {
    const question = questions[count % questions.length];
    const decision = question === undefined ? undefined : engine.decideNow(question.asker, question.wanted);
    if (decision?.allowed !== true) throw new BenchError('wrong_answer', 'a known user was refused');
  }
}

const everybody: Authenticator = {
  name: 'everybody',
  authenticate(credentials) {
    const name = credentials.kind === 'basic' ? credentials.username : 'nobody';
    const groups = ['staff', name.replace('user', 'team')];
    const identity: Identity = { kind: 'user', name, groups, scopes: undefined, expiresAtMs: undefined };
    return Promise.resolve(identity);
  },
};

function teamRoute(index: number): Route {
  return {
    ...publicRoute(),
    name: `team-${index}`,
    patterns: [`git.corp.example/team-${index}`, `git.corp.example/team-${index}-*`],
    isPrivate: true,
    access: { ...noAccess, read: [{ kind: 'group', name: `team-${index}` }] },
  };
}

const noAccess = { read: [], publish: [], admin: [], allow: [], deny: [] };

function publicRoute(): Route {
  return {
    name: 'public',
    patterns: ['*'],
    isPrivate: false,
    sources: undefined,
    access: { ...noAccess, read: [{ kind: 'anonymous' }] },
    checksums: undefined,
    freshMs: { list: undefined, query: undefined },
    keepMs: undefined,
  };
}
