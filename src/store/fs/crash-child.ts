/**
 * Test help: a process that claims, stages and publishes as fast as it can until it is killed. It writes the name of
 * each artifact to stdout once `publish` has resolved; bodies follow from the name, so that the parent can check them.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import type { ArtifactExt, ArtifactKey } from '../../gomod/types.ts';
import { systemClock } from '../../lib/clock.ts';
import { keyOf } from '../contract/kit.ts';
import { openFsStore } from './fs-store.ts';
import { artifactExts, keyText } from './layout.ts';

const zipBytes = 200_000;
const writesPerFile = 5;

export function bodyOf(path: string, version: string, ext: ArtifactExt): Buffer {
  const seed = createHash('sha256').update(`${path}@${version}.${ext}`).digest();
  return ext === 'zip' ? Buffer.alloc(zipBytes, seed) : seed;
}

async function publishForever(folder: string, round: string): Promise<void> {
  const store = await openFsStore({ folder, clock: systemClock, listDelayMs: 1 });
  async function worker(number: number): Promise<void> {
    const path = `example.com/m${number % 2}`;
    for (let index = 0; ; index++) {
      const version = `v1.${Number(round) * 10 + number}.${index}`;
      for (const ext of artifactExts) await publishOne(keyOf(path, version, ext));
    }
  }
  async function publishOne(key: ArtifactKey): Promise<void> {
    await store.claim(key);
    const body = bodyOf(key.path, key.version, key.ext);
    const staged = await store.stage(key);
    const step = Math.ceil(body.byteLength / writesPerFile);
    for (let at = 0; at < body.byteLength; at += step) await staged.write([body.subarray(at, at + step)]);
    const sha256 = createHash('sha256').update(body).digest('hex');
    const h1 = `h1:${createHash('sha256').update(sha256).digest('base64')}`;
    await staged.publish({ sha256, h1, source: 'crash' });
    await staged.close();
    fs.writeSync(1, `${keyText(key)}\n`);
  }
  await Promise.all([0, 1, 2, 3].map(worker));
}

const [, script, folder, round] = process.argv;
if (script === import.meta.filename && folder !== undefined && round !== undefined) {
  await publishForever(folder, round);
}
