/**
 * What it costs to decide about somebody who is known, in this process: with 1, 100 and 10,000 routes and as many
 * identities. Every question is about another module of another route, so that no table stays in one cache line.
 */
import { createAccess } from '../../src/access/access.ts';
import type { Asker, Authenticator, Identity, Wanted } from '../../src/access/types.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { createRouteTable } from '../../src/route/route-table.ts';
import type { Route } from '../../src/route/types.ts';
import { BenchError } from '../lib/bench-error.ts';
import type { Figure } from '../lib/figure.ts';
import type { Scenario } from '../lib/scenario.ts';
import { median } from '../lib/stats.ts';

const sizes = [1, 100, 10_000];
const asks = 100_000;
const targetUs = 20;

interface Question {
  readonly asker: Asker;
  readonly wanted: Wanted;
}

export const access: Scenario = {
  name: 'access',
  about: 'one decision about a known user with 1, 100 and 10,000 routes and identities, in this process',
  async run({ rounds, note }) {
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
    return figures;
  },
};

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
