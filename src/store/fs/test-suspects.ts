/**
 * Test help: a process that withdraws, quarantines and swaps as fast as it can until it is killed. It writes a line to
 * stdout once each has resolved; bodies follow from names, so that the parent can check them.
 */
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import type { ArtifactKey } from '../../gomod/types.ts';
import { systemClock } from '../../lib/clock.ts';
import { evidenceOf, keyOf, put } from '../contract/kit.ts';
import { type FsStore, openFsStore } from './fs-store.ts';
import { keyText } from './layout.ts';

const bodyChars = 60_000;

/** What is published under this key, and then withdrawn. */
export function bodyOf(key: ArtifactKey): string {
  return createHash('sha256')
    .update(keyText(key))
    .digest('hex')
    .repeat(bodyChars / 64);
}

/** The head of one step. */
export function headOf(step: number): Buffer {
  return Buffer.from(`${step} `.repeat(5_000));
}

export const database = 'sum.test';

async function withdrawForever(store: FsStore, round: string): Promise<void> {
  for (let index = 0; ; index++) {
    const key = keyOf('example.com/withdrawn', `v1.${round}.${index}`, index % 2 === 0 ? 'zip' : 'mod');
    const body = bodyOf(key);
    await put(store, key, body, { unproven: 'unreachable' });
    fs.writeSync(1, `published ${index}\n`);
    await store.withdraw(key, evidenceOf(key, body));
    fs.writeSync(1, `withdrawn ${index}\n`);
  }
}

async function addForever(store: FsStore, round: string): Promise<void> {
  for (let index = 0; ; index++) {
    const key = keyOf('example.com/refused', `v1.${round}.${index}`, 'zip');
    const body = bodyOf(key);
    if (index % 2 === 0) await store.quarantine.add(evidenceOf(key, body), { body: Buffer.from(body) });
    else {
      const staged = await store.stage(key);
      await staged.write([Buffer.from(body)]);
      await store.quarantine.add(evidenceOf(key, body), { staged });
      await staged.close();
    }
    fs.writeSync(1, `added ${index}\n`);
  }
}

async function swapForever(store: FsStore): Promise<void> {
  let before = await store.readSumdbState(database, 'head');
  for (let step = before === undefined ? 0 : Number.parseInt(before.toString(), 10) + 1; ; step++) {
    const next = headOf(step);
    if (!(await store.swapSumdbState(database, 'head', before, next)))
      throw new Error('somebody else swapped');
    before = next;
    fs.writeSync(1, `swapped ${step}\n`);
  }
}

const [, script, folder, round] = process.argv;
if (script === import.meta.filename && folder !== undefined && round !== undefined) {
  const store = await openFsStore({ folder, clock: systemClock, listDelayMs: 1 });
  await Promise.all([withdrawForever(store, round), addForever(store, round), swapForever(store)]);
}
