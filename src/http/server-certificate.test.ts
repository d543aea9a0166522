import { copyFileSync, mkdtempSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { Agent } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { type Certificate, type TestAuthority, testAuthority } from '../../test/kit/tls.ts';
import type { Asker } from '../access/types.ts';
import { get, startServer, tlsTarget } from './test-tls.ts';

const folder = mkdtempSync(join(tmpdir(), 'modferry-cert-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let authority: TestAuthority;
let [first, second, expired]: Certificate[] = [];
beforeAll(async () => {
  authority = await testAuthority(folder);
  [first, second, expired] = await Promise.all([
    authority.issue({ commonName: 'first' }),
    authority.issue({ commonName: 'second' }),
    authority.issue({
      commonName: 'expired',
      validFrom: new Date('2020-01-01'),
      validTo: new Date('2021-01-01'),
    }),
  ]);
});

interface Pair {
  readonly certFile: string;
  readonly keyFile: string;
  put(certificate: Certificate | undefined): void;
}

/** Files that are the server's, with another pair's content whenever a test wants. */
function pair(certificate: Certificate | undefined): Pair {
  const dir = mkdtempSync(join(folder, 'pair-'));
  const [certFile, keyFile] = [join(dir, 'tls.crt'), join(dir, 'tls.key')];
  const put = (next: Certificate | undefined): void => {
    if (next === undefined) throw new Error('no certificate');
    copyFileSync(next.certFile, certFile);
    copyFileSync(next.keyFile, keyFile);
  };
  put(certificate);
  return { certFile, keyFile, put };
}

function shownBy(url: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), ca: authority.cert }, () => {
      resolve(String(socket.getPeerCertificate().subject['CN']));
      socket.destroy();
    });
    socket.on('error', reject);
  });
}

describe('the certificate of a server', () => {
  it('is read again within five seconds, by every address that shows it', async () => {
    const files = pair(first);
    const { listening, clock, events } = await startServer(tlsTarget(files), tlsTarget(files));
    files.put(second);
    await clock.advance(4_999);
    expect(await Promise.all(listening.urls.map(shownBy))).toEqual(['first', 'first']);
    await clock.advance(1);
    await expect.poll(() => events.length).toBe(1);
    expect(await Promise.all(listening.urls.map(shownBy))).toEqual(['second', 'second']);
    expect(events[0]).toMatchObject({ kind: 'reloaded', certFile: files.certFile });
    // And once more: the watch goes on.
    files.put(first);
    await expect
      .poll(async () => {
        await clock.advance(5_000);
        return events.length;
      })
      .toBe(2);
    expect(await shownBy(listening.urls[0] ?? '')).toBe('first');
  });

  it('is read again when its link leads elsewhere', async () => {
    const dir = mkdtempSync(join(folder, 'links-'));
    const link = (certificate: Certificate | undefined): void => {
      symlinkSync(certificate?.certFile ?? '', join(dir, 'tls.crt'));
      symlinkSync(certificate?.keyFile ?? '', join(dir, 'tls.key'));
    };
    link(first);
    const files = { certFile: join(dir, 'tls.crt'), keyFile: join(dir, 'tls.key') };
    const { listening } = await startServer(tlsTarget(files));
    unlinkSync(files.certFile);
    unlinkSync(files.keyFile);
    link(second);
    await listening.reloadCertificates();
    expect(await shownBy(listening.urls[0] ?? '')).toBe('second');
  });

  it('stays when the new files are bad, and that is told once', async () => {
    const files = pair(first);
    const { listening, events } = await startServer(tlsTarget(files));
    const [url = ''] = listening.urls;
    const tryWith = async (change: () => void): Promise<string> => {
      events.length = 0;
      change();
      await listening.reloadCertificates();
      await listening.reloadCertificates();
      expect(await shownBy(url)).toBe('first');
      expect(events.map(({ kind }) => kind)).toEqual(['refused']);
      return events[0]?.message ?? '';
    };
    expect(await tryWith(() => copyFileSync(second?.certFile ?? '', files.certFile))).toMatch(
      /the key .* does not belong to the certificate .*; the former certificate stays in use$/,
    );
    expect(await tryWith(() => writeFileSync(files.certFile, '-----BEGIN CERTIFICATE-----\nMIIB'))).toMatch(
      /damaged/,
    );
    expect(await tryWith(() => rmSync(files.keyFile))).toMatch(/cannot be read: ENOENT/);
    expect(await tryWith(() => files.put(expired))).toMatch(/expired on 2021-01-01; renew it/);
    expect(listening.certificates()[0]?.fault).toMatch(/expired/);
    events.length = 0;
    files.put(second);
    await listening.reloadCertificates();
    expect(await shownBy(url)).toBe('second');
    expect(events.map(({ kind }) => kind)).toEqual(['reloaded']);
    expect(listening.certificates()[0]?.fault).toBe(undefined);
  });

  it('is told of when it expires soon', async () => {
    const { listening, clock, events } = await startServer(tlsTarget(pair(first)));
    await clock.advance(3 * 3_600_000);
    await listening.reloadCertificates();
    expect(events).toEqual([]);
    await clock.advance(8 * 3_600_000);
    await listening.reloadCertificates();
    await listening.reloadCertificates();
    expect(events.map(({ kind }) => kind)).toEqual(['expiring']);
  });

  it('may be expired at the start, which is told', async () => {
    const { listening, events } = await startServer(tlsTarget(pair(expired)));
    expect(events).toMatchObject([
      { kind: 'expiring', message: expect.stringMatching(/expired on 2021-01-01; renew it$/) },
    ]);
    expect(listening.certificates()[0]?.validToMs).toBe(Date.UTC(2021, 0, 1));
  });

  it('changes under load without a failed request, and connections live on', async () => {
    const files = pair(first);
    const { listening } = await startServer(tlsTarget(files));
    const [url = ''] = listening.urls;
    const kept = new Agent({ keepAlive: true, maxSockets: 1, ca: authority.cert });
    onTestFinished(() => kept.destroy());
    const keptPort = async (): Promise<number | undefined> => {
      await get(url, { agent: kept });
      return Object.values(kept.freeSockets)[0]?.[0]?.localPort;
    };
    const port = await keptPort();
    const end = { isReached: false };
    const clients = Array.from({ length: 8 }, async () => {
      let count = 0;
      while (!end.isReached) {
        const { status } = await get(url, { ca: authority.cert });
        expect(status).toBe(200);
        count += 1;
      }
      return count;
    });
    const seen = new Set<string>();
    for (let round = 0; round < 20; round += 1) {
      files.put(round % 2 === 0 ? second : first);
      await listening.reloadCertificates();
      seen.add(await shownBy(url));
    }
    end.isReached = true;
    const counts = await Promise.all(clients);
    expect(Math.min(...counts)).toBeGreaterThan(0);
    expect([...seen].sort()).toEqual(['first', 'second']);
    await expect.poll(keptPort).toBe(port);
  });

  it('is not watched any more after a drain', async () => {
    const { listening, clock } = await startServer(tlsTarget(pair(first)));
    await listening.drain();
    expect(clock.timers).toBe(0);
  });

  it('ends kept connections of clients when their authority changed', async () => {
    const other = await testAuthority(folder, 'next');
    const clientCaFile = join(mkdtempSync(join(folder, 'ca-')), 'clients.pem');
    copyFileSync(authority.certFile, clientCaFile);
    const files = pair(first);
    const { listening } = await startServer(tlsTarget(files, { clientAuth: 'optional', clientCaFile }));
    const [url = ''] = listening.urls;
    const { cert, key } = second ?? other;
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: authority.cert, cert, key });
    onTestFinished(() => agent.destroy());
    const seen = async () => {
      const { text } = await get(url, { agent });
      const port = Object.values(agent.freeSockets)[0]?.[0]?.localPort;
      return { port, name: (JSON.parse(text) as Asker).certificate?.commonName };
    };
    const before = await seen();
    expect(before.name).toBe('second');
    // Another certificate of the server alone ends nothing.
    files.put(second);
    await listening.reloadCertificates();
    expect(await seen()).toEqual(before);
    copyFileSync(other.certFile, clientCaFile);
    await listening.reloadCertificates();
    await expect.poll(() => Object.keys(agent.freeSockets)).toEqual([]);
    const after = await seen();
    expect(after.name).toBeUndefined();
    expect(after.port).not.toBe(before.port);
  });

  it('lets in clients of the new authority, and those of the old one no more', async () => {
    const other = await testAuthority(folder, 'other');
    const clientCaFile = join(mkdtempSync(join(folder, 'ca-')), 'clients.pem');
    copyFileSync(authority.certFile, clientCaFile);
    const { listening } = await startServer(tlsTarget(pair(first), { clientAuth: 'required', clientCaFile }));
    const [url = ''] = listening.urls;
    const theirs = await other.issue({ commonName: 'theirs' });
    const isIn = async ({ cert, key }: { cert: string; key: string }): Promise<boolean> =>
      await get(url, { ca: authority.cert, cert, key }).then(
        () => true,
        () => false,
      );
    const ours = second ?? theirs;
    expect([await isIn(ours), await isIn(theirs)]).toEqual([true, false]);
    copyFileSync(other.certFile, clientCaFile);
    await listening.reloadCertificates();
    expect([await isIn(ours), await isIn(theirs)]).toEqual([false, true]);
  });
});
