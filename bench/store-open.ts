/**
 * How long opening a store takes when it is empty and when much is stored: the two must not differ.
 * Usage: node bench/store-open.ts [VERSIONS, default 100000]. The stored files are empty: opening looks at none.
 */
import fs from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../src/lib/clock.ts';
import { openFsStore } from '../src/store/fs/fs-store.ts';

const rounds = 15;
const versionsPerModule = 100;

async function medianOpenMs(folder: string): Promise<number> {
  const timesMs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const startedAtMs = performance.now();
    const store = await openFsStore({ folder, clock: systemClock });
    await store.idle();
    timesMs.push(performance.now() - startedAtMs);
    await store.close();
  }
  return timesMs.sort((a, b) => a - b)[Math.floor(rounds / 2)] ?? Number.NaN;
}

function fill(folder: string, versions: number): void {
  for (let module = 0; module * versionsPerModule < versions; module++) {
    const at = join(folder, `download/example.com/org${module % 50}/m${module}/@v`);
    fs.mkdirSync(at, { recursive: true });
    for (let version = 0; version < versionsPerModule; version++) {
      for (const ext of ['info', 'mod', 'zip']) fs.writeFileSync(join(at, `v1.${version}.0.${ext}`), '');
    }
  }
}

const versions = Number(process.argv[2] ?? 100_000);
const folder = fs.mkdtempSync(join(tmpdir(), 'modferry-bench-'));
try {
  await medianOpenMs(folder);
  const emptyMs = await medianOpenMs(folder);
  fill(folder, versions);
  const fullMs = await medianOpenMs(folder);
  process.stdout.write(
    `open, median of ${rounds}: empty ${emptyMs.toFixed(2)} ms, ${versions} versions ${fullMs.toFixed(2)} ms, ratio ${(fullMs / emptyMs).toFixed(2)}\n`,
  );
} finally {
  fs.rmSync(folder, { recursive: true, force: true });
}
