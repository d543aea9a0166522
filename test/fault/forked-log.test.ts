/** A checksum database that signs two histories: the loudest event there is, and no trust in anything new. */
import { describe, expect, it } from 'vitest';
import { events, get, proving, sumdbLog } from '../e2e/checksums-support.ts';
import {
  ask,
  eventually,
  expectCleanStore,
  folder,
  modferry,
  runModferry,
  upstream,
} from '../e2e/support.ts';
import { fakeModule } from '../kit/fake-module.ts';
import { runGo } from '../kit/go.ts';

const kept = fakeModule({ path: 'example.com/kept' });
const [later, muchLater] = ['later', 'much-later'].map((name) =>
  fakeModule({ path: `example.com/${name}` }),
) as [typeof kept, typeof kept];

describe('a checksum database that has forked', () => {
  it('is told as critical, stops new records over a restart, and is trusted again by order', async () => {
    const log = await sumdbLog({ pad: 300, modules: [kept] });
    log.pad(20);
    const source = await upstream({ modules: [kept, later, muchLater] });
    const data = await folder('data');
    const start = () => modferry({ dataDir: data.path, upstreams: [source], env: proving(log) });
    const sumdb = `/sumdb/${log.name}`;
    let proxy = await start();
    expect(await get(proxy, kept, 'zip')).toMatchObject({ status: 200 });

    log.add(later);
    log.add(muchLater);
    log.lie({ kind: 'fork', fromSize: 290 });
    const refused = await get(proxy, later, 'zip');
    expect(refused).toMatchObject({ status: 503, text: expect.stringContaining(log.name) });
    expect(refused.text).toContain('contradict');

    const told = await eventually(
      () => events(data.path, 'fork'),
      (found) => found.length > 0,
    );
    expect(told).toHaveLength(1);
    expect(told[0]).toMatchObject({
      severity: 'critical',
      message: expect.stringContaining(`modferry sumdb show ${log.name}`),
      data: { database: log.name, knownSize: 321, otherSize: 323 },
    });
    const shown = await runModferry(['sumdb', 'show', '--data', data.path, log.name]);
    expect(shown).toMatchObject({ code: 0 });
    expect(shown.stdout).toContain('FORKED');
    expect(shown.stdout.match(/go\.sum database tree/g), 'both notes').toHaveLength(2);
    // The truth again is no proof: which of the two is true is for an operator to find out.
    log.lie(undefined);
    for (const when of ['before', 'after'] as const) {
      if (when === 'after') {
        await proxy.stop();
        proxy = await start();
      }
      expect(await get(proxy, muchLater, 'mod'), when).toMatchObject({ status: 503 });
      expect((await ask(proxy.url, `${sumdb}/lookup/${later.path}@v1.0.0`)).status, when).toBe(503);
      const go = await runGo(['mod', 'download', `${muchLater.path}@v1.0.0`], {
        env: { GOPROXY: proxy.url, GOSUMDB: 'off' },
      });
      expect(go).toMatchObject({ code: 1, stderr: expect.stringContaining('contradict') });
      expect(await get(proxy, kept, 'zip'), when).toMatchObject({ status: 200, body: kept.zip });
      const record = await ask(proxy.url, `${sumdb}/lookup/${kept.path}@v1.0.0`);
      expect(record, when).toMatchObject({ status: 200, text: expect.stringContaining(kept.zipH1) });
    }
    // Of what was known and proven the rest of the module still comes.
    expect(await get(proxy, kept, 'mod')).toMatchObject({ status: 200, body: kept.mod });

    const reset = [
      'sumdb',
      'reset',
      '--data',
      data.path,
      '--reason',
      'asked the operator of the log',
      log.name,
    ];
    expect(await runModferry(reset)).toMatchObject({ code: 0 });
    expect(await get(proxy, later, 'zip')).toMatchObject({ status: 200, body: later.zip });
    expect(await get(proxy, muchLater, 'mod')).toMatchObject({ status: 200 });
    const after = await runModferry(['sumdb', 'show', '--json', '--data', data.path, log.name]);
    expect(JSON.parse(after.stdout)).toMatchObject({ isForked: false, treeSize: 323, fork: null });
    expect(
      await eventually(
        () => events(data.path, 'sumdb'),
        (found) => found.length > 0,
      ),
    ).toMatchObject([{ message: expect.stringContaining('asked the operator of the log') }]);
    await expectCleanStore(data.path);
  });

  it('is found out by a second history at a mirror, and cannot put a changed zip into the store', async () => {
    const log = await sumdbLog({ pad: 40, modules: [kept] });
    const evilLog = await sumdbLog({ pad: 40, modules: [kept] });
    log.add(later);
    // A whole log of the attacker's own, signed with the key: nothing in it contradicts itself.
    const evil = {
      ...later,
      zip: fakeModule({ path: later.path, files: { 'evil.go': 'package later\n' } }).zip,
    };
    evilLog.add(evil);
    const source = await upstream({ modules: [kept, later] });
    const mirror = await upstream({ modules: [kept, evil], sumdb: evilLog.handler });
    const data = await folder('data');
    let proxy = await modferry({ dataDir: data.path, upstreams: [source], env: proving(log) });
    expect(await get(proxy, later, 'mod')).toMatchObject({ status: 200 });
    await proxy.stop();
    proxy = await modferry({ dataDir: data.path, upstreams: [mirror], env: { GOSUMDB: log.verifierKey } });
    const answer = await get(proxy, evil, 'zip');
    expect([403, 502, 503]).toContain(answer.status);
    const ls = await runModferry(['ls', '--json', '--data', data.path]);
    expect(ls.stdout).not.toContain('"zip"');
  });
});
