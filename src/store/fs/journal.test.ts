import fs from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parseModulePath } from '../../gomod/module-path.ts';
import { systemClock } from '../../lib/clock.ts';
import { keyOf } from '../contract/kit.ts';
import type { PurgeEvent } from '../store.ts';
import { Journal } from './journal.ts';
import { makeTestFolder } from './test-folder.ts';

describe('the purge journal', () => {
  it('does not tell again what was purged before it was opened', async () => {
    const file = join(makeTestFolder().path, 'journal');
    fs.writeFileSync(file, '{"path":"example.com/old"}\n');
    const journal = new Journal(file, systemClock);
    await journal.open();
    const heard: PurgeEvent[] = [];
    journal.on((event) => heard.push(event));
    await journal.append({ path: parseModulePath('example.com/new') });
    await journal.close();
    expect(heard).toEqual([{ path: 'example.com/new' }]);
  });

  it('goes on in the new file after a rotation, in every process, and loses no line of the old one', async () => {
    const file = join(makeTestFolder().path, 'journal');
    const filler = `${JSON.stringify({ path: 'example.com/filler' })}\n`;
    fs.writeFileSync(file, filler);
    const [one, two] = [new Journal(file, systemClock), new Journal(file, systemClock)];
    await one.open();
    await two.open();
    const heard: string[] = [];
    two.on((event) => heard.push(event.path));
    const fence = await two.raise(keyOf('example.com/m2', 'v1.0.0', 'zip'));

    await one.append({ path: parseModulePath('example.com/m1') });
    fs.appendFileSync(file, filler.repeat(40_000));
    await one.append({ path: parseModulePath('example.com/m2') });

    expect(await two.overtook(fence)).toBe(true);
    expect(heard.filter((path) => path !== 'example.com/filler')).toEqual([
      'example.com/m1',
      'example.com/m2',
    ]);
    expect(fs.statSync(file).size).toBeLessThan(1_000);
    expect(fs.statSync(`${file}.1`).size).toBeGreaterThan(1024 * 1024);
    await one.close();
    await two.close();
  });

  it('waits for the rest of a line that is half there and passes over lines that are none', async () => {
    const file = join(makeTestFolder().path, 'journal');
    const journal = new Journal(file, systemClock);
    await journal.open();
    const heard: PurgeEvent[] = [];
    journal.on((event) => heard.push(event));
    const fence = await journal.raise(keyOf('example.com/m', 'v1.0.0', 'zip'));
    fs.writeFileSync(file, 'not JSON\n[]\n{"path":1}\n{"path":"example.com/m","ver');
    expect(await journal.overtook(fence)).toBe(false);
    fs.appendFileSync(file, 'sion":"v1.0.0"}\n');
    expect(await journal.overtook(fence)).toBe(true);
    await journal.close();
    expect(heard).toEqual([{ path: 'example.com/m', version: 'v1.0.0' }]);
  });

  it('tells which artifact was withdrawn, and fences no fill by it', async () => {
    const file = join(makeTestFolder().path, 'journal');
    const [one, two] = [new Journal(file, systemClock), new Journal(file, systemClock)];
    await one.open();
    await two.open();
    const heard: PurgeEvent[] = [];
    two.on((event) => heard.push(event));
    const { path, version, ext } = keyOf('example.com/m', 'v1.0.0', 'zip');
    const fences = [await two.raise({ path, version, ext }), await two.raise({ path, version, ext: 'mod' })];

    await one.append({ path, version, ext });
    for (const fence of fences) expect(await two.overtook(fence)).toBe(false);
    await one.append({ path, version });
    for (const fence of fences) expect(await two.overtook(fence)).toBe(true);

    await one.close();
    await two.close();
    expect(heard).toEqual([
      { path, version, ext },
      { path, version },
    ]);
  });

  it('tells whose record changed apart from purges, and fences no fill by it', async () => {
    const file = join(makeTestFolder().path, 'journal');
    const [one, two] = [new Journal(file, systemClock), new Journal(file, systemClock)];
    await one.open();
    await two.open();
    const key = keyOf('example.com/m', 'v1.0.0', 'zip');
    const heard: unknown[] = [];
    two.on((event) => heard.push(['purge', event]));
    two.onTrust((changed) => heard.push(['trust', changed]));
    const fence = await two.raise(key);

    await one.tellTrust(key);
    fs.appendFileSync(file, '{"path":"example.com/m","version":"v1.0.0","ext":"exe","trust":true}\n');
    expect(await two.overtook(fence)).toBe(false);

    expect(heard).toEqual([['trust', key]]);
    await one.close();
    await two.close();
  });

  it('tells this process alone whose record changed where no line can be added', async () => {
    const folder = makeTestFolder().path;
    const journal = new Journal(join(folder, 'missing/journal'), systemClock);
    const key = keyOf('example.com/m', 'v1.0.0', 'zip');
    const heard: unknown[] = [];
    journal.onTrust((changed) => heard.push(changed));
    await journal.tellTrust(key);
    await journal.close();
    expect(heard).toEqual([key]);
  });

  it('takes a kind it does not know for the whole version, and one without a version for the module', async () => {
    const file = join(makeTestFolder().path, 'journal');
    const journal = new Journal(file, systemClock);
    await journal.open();
    const heard: PurgeEvent[] = [];
    journal.on((event) => heard.push(event));
    const fence = await journal.raise(keyOf('example.com/m', 'v1.0.0', 'zip'));
    const lines = [
      { path: 'example.com/m', version: 'v1.0.0', ext: 'sbom' },
      { path: 'example.com/m', ext: 'zip' },
    ];
    fs.writeFileSync(file, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    expect(await journal.overtook(fence)).toBe(true);
    await journal.close();
    expect(heard).toEqual([{ path: 'example.com/m', version: 'v1.0.0' }, { path: 'example.com/m' }]);
  });
});
