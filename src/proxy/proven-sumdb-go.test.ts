/** What `/sumdb/` makes of a real log, judged by the real `go` command. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { fakeModule } from '../../test/kit/fake-module.ts';
import { startFakeUpstream } from '../../test/kit/fake-upstream.ts';
import { type GoHome, goHome, runGo } from '../../test/kit/go.ts';
import { bytesReply, type Reply, textReply } from '../../test/kit/reply.ts';
import { answerFor } from '../http/status.ts';
import { FakeClock } from '../lib/fake-clock.ts';
import { makeWorld } from '../sumdb/test-database.ts';
import { plainPlan } from '../upstream/plan.ts';
import { SumdbService } from './sumdb-service.ts';
import { contextOf } from './test-proxy.ts';

const first = fakeModule({ path: 'example.com/Upper/first', version: 'v1.2.3' });
const later = fakeModule({ path: 'example.com/later', version: 'v1.0.0' });
const never = fakeModule({ path: 'example.com/never', version: 'v1.0.0' });

/** A GOPROXY that has the modules, and whose `/sumdb/` is ours. */
async function makeServer(pad: number) {
  const { log, store, up, open } = await makeWorld({ pad, modules: [first] });
  const state = { isOffline: false };
  const { database } = open({ isOffline: () => state.isOffline });
  const service = new SumdbService({
    clock: new FakeClock(),
    store,
    databases: () => [{ name: log.name, direct: [], database }],
    isOffline: () => state.isOffline,
    mayAnswer: () => true,
    patienceMs: () => 2_000,
    plan: () => plainPlan({ upstreams: [up], answerClass: 'meta', firstByteMs: 5_000, lastHopeMs: 30_000 }),
    directPlan: () =>
      plainPlan({ upstreams: [], answerClass: 'meta', firstByteMs: 5_000, lastHopeMs: 30_000 }),
    isPrivate: () => false,
  });
  const statuses: number[] = [];
  async function sumdb(rest: string): Promise<Reply> {
    try {
      const { body } = await service.get(rest, contextOf());
      statuses.push(200);
      return bytesReply('text/plain', body);
    } catch (error) {
      const { status, text } = answerFor(error, 30);
      statuses.push(status);
      return textReply(status, text);
    }
  }
  const server = await startFakeUpstream({ modules: [first, later, never], sumdb });
  onTestFinished(server.close);
  const download = async (home: GoHome, { path, version }: typeof first) => {
    const { code, stderr, stdout } = await runGo(['mod', 'download', '-json', `${path}@${version}`], {
      home,
      env: { GOPROXY: server.url, GOSUMDB: log.verifierKey },
    });
    const { Sum: sum, Error: error } = JSON.parse(stdout) as { Sum?: string; Error?: string };
    return { code, stderr, sum, error };
  };
  return { log, state, database, download, statuses };
}

async function machine(): Promise<GoHome> {
  const home = await goHome();
  onTestFinished(home.remove);
  return home;
}

describe('the go command over /sumdb/', () => {
  it('is content with a new and with an older head, also when nobody may be asked', async () => {
    const { log, state, database, download, statuses } = await makeServer(300);
    const [older, online] = [await machine(), await machine()];
    expect(await download(older, first)).toMatchObject({ code: 0, sum: first.zipH1 });
    // Its tree is now 301 records; ours moves on for the others.
    log.pad(700);
    log.add(later);
    log.pad(70_000);
    expect(await download(online, later)).toMatchObject({ code: 0, sum: later.zipH1 });
    expect(await download(online, first)).toMatchObject({ code: 0, sum: first.zipH1 });
    await database.idle();

    state.isOffline = true;
    log.reset();
    expect(await download(older, later)).toMatchObject({ code: 0, sum: later.zipH1 });
    const empty = await machine();
    expect(await download(empty, first)).toMatchObject({ code: 0, sum: first.zipH1 });
    expect(await download(empty, later)).toMatchObject({ code: 0, sum: later.zipH1 });
    expect(log.requests).toEqual([]);
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  it('fails what is in no log, and what is not stored offline', async () => {
    const { log, state, download, statuses } = await makeServer(3);
    expect(await download(await machine(), never)).toMatchObject({ code: 1 });
    expect(statuses).toContain(404);
    log.add(never);

    state.isOffline = true;
    statuses.length = 0;
    expect(await download(await machine(), never)).toMatchObject({ code: 1 });
    expect(statuses).toContain(404);
  });

  it.each(['wrong_hash', 'line_in_note', 'no_line', 'forged_signature', 'wrong_tile'] as const)(
    'never hears a lie (%s): what does not verify here is no answer',
    async (kind) => {
      const { log, download, statuses } = await makeServer(300);
      log.lie({ kind });

      expect(await download(await machine(), first)).toMatchObject({ code: 1 });

      expect(statuses.filter((status) => status !== 200)).toEqual([502]);
    },
  );

  it('gets what was proven before a fork, and no new record after it', async () => {
    const { log, download, statuses } = await makeServer(300);
    expect(await download(await machine(), first)).toMatchObject({ code: 0 });
    log.lie({ kind: 'fork', fromSize: 200 });
    log.add(later);
    log.pad(20);
    statuses.length = 0;

    const refused = await download(await machine(), later);

    expect(refused).toMatchObject({
      code: 1,
      error: expect.stringContaining(`modferry sumdb show ${log.name}`),
    });
    expect(statuses).toContain(503);
    expect(await download(await machine(), first)).toMatchObject({ code: 0, sum: first.zipH1 });
  });
});
